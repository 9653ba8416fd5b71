/**
 * A recorded number: JSON has no NaN and no infinities, so they come as "nan", "inf" and "-inf".
 * @param {number | string | null} recorded
 * @returns {number | null}
 */
function decoded(recorded) {
  if (recorded === null || typeof recorded === "number") return recorded;
  return { nan: NaN, inf: Infinity, "-inf": -Infinity }[recorded] ?? NaN;
}

/** Significant digits that are shown. */
const DIGITS = Math.min(drawing?.precision ?? 4, 17);
const TIE = new RegExp(DIGITS === 1 ? "^([02468])[.]50*(e.*)$" : `^(\\d[.]\\d{${DIGITS - 2}}[02468])50*(e.*)$`);

/**
 * A number in so many digits, written as the drawings write it.
 * @param {number} x
 * @returns {string}
 */
function short(x) {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const sign = x < 0 || Object.is(x, -0) ? "−" : "";
  if (x === 0) return sign + "0";
  const magnitude = Math.abs(x);
  // A tie goes to the even digit, as in Python; toExponential alone would round it up.
  const tie = TIE.exec(magnitude.toExponential(60));
  const [digits, exponent] = (tie ? tie[1] + tie[2] : magnitude.toExponential(DIGITS - 1)).split("e").map(Number);
  if (exponent < -4 || exponent >= DIGITS) return `${sign}${digits}e${String(exponent).replace("-", "−")}`;
  return sign + String(Number(`${digits}e${exponent}`));
}

/**
 * A number on the screen, short; its tooltip and its `value` have all digits.
 * @param {number} x
 * @param {string} [caption] what it is, in a word or two
 * @returns {HTMLElement}
 */
function shown(x, caption) {
  const number = document.createElement("data");
  number.value = exact(x);
  number.title = (caption ? caption + ": " : "") + exact(x);
  number.textContent = short(x);
  return number;
}

/**
 * All digits of a number, enough to read the same number back.
 * @param {number} x
 */
function exact(x) {
  return Object.is(x, -0) ? "-0" : String(x);
}

/**
 * What a person typed, as a number; understands −, a decimal comma, fractions, ∞ and a leading =.
 * @param {string} text
 * @returns {number | null} null for what is no number
 */
function read(text) {
  const plain = text.trim().replace(/^=/, "").replaceAll("−", "-").replaceAll("∞", "inf").replace(/\s+/g, "").replace(",", ".");
  const word = /^([+-]?)(inf(?:inity)?|nan)$/i.exec(plain);
  if (word) return word[2].toLowerCase() === "nan" ? NaN : word[1] === "-" ? -Infinity : Infinity;
  const parts = plain.split("/");
  if (parts.length > 2 || parts.some((part) => !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(part))) return null;
  return parts.length === 2 ? Number(parts[0]) / Number(parts[1]) : Number(parts[0]);
}

/**
 * Whether a guess is right: within a hundredth of the answer.
 * @param {number} guess
 * @param {number} answer
 */
function agrees(guess, answer) {
  if (Object.is(guess, answer) || guess === answer || (Number.isNaN(guess) && Number.isNaN(answer))) return true;
  return Number.isFinite(answer) && Math.abs(guess - answer) <= 0.01 * Math.abs(answer);
}
