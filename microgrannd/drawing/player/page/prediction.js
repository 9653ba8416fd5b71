/**
 * Guessing what comes next: a contribution, one of its factors, the sum, a forward value, or whose turn it is.
 *
 * @typedef {{about: string, event: Event, label: string, answer: number, tried: boolean}} Question
 */

const QUESTIONS = {
  contribution: { kind: "added", label: "What will be added?", of: (event) => event.contribution },
  factor: { kind: "added", label: "What is the local gradient?", of: (event) => event.local },
  sum: { kind: "added", label: "What is the gradient after this +=?", of: (event) => event.after },
  value: { kind: "computed", label: "What is the value?", of: (event) => event.value },
  turn: { kind: "added", label: "Which node hands on its gradient next? Type its name or click it.", of: () => NaN },
};
const score = { right: 0, asked: 0 };

/** The question to ask before an event; none if nothing is asked about it. @param {Event | undefined} event @returns {Question | null} */
function questionBefore(event) {
  if (!event || !byId("predict").checked) return null;
  const fits = (about) => QUESTIONS[about].kind === event.kind && (about === "turn" ? beginsTurn(event) : !ofConstant(event));
  const wish = byId("ask").value;
  const about = wish === "all" ? ["turn", ...["contribution", "factor", "sum"].slice(position % 3), "contribution", "value"].find(fits) : fits(wish) && wish;
  if (!about) return null;
  const { label, of } = QUESTIONS[about];
  return { about, event, label, answer: of(event), tried: false };
}

/** @param {Event} event */
function ofConstant(event) {
  return event.kind === "added" && nodes[event.parent].kind === "constant";
}

/** Whether a node other than before hands on its gradient. @param {Event} event */
function beginsTurn(event) {
  const before = timeline[position - 1];
  return event.kind === "added" && before?.kind === "added" && before.node !== event.node;
}

/** What is hidden while it is asked for. @param {string} part "local", "contribution", "after", "value" or "all" */
function hides(part) {
  const hidden = {
    contribution: ["contribution", "after"],
    factor: ["local", "contribution", "after"],
    sum: ["after"],
    value: ["value"],
    turn: ["all"],
  };
  return asking !== null && hidden[asking.about].includes(part);
}

/** Take a guess: go on if it is right, say what is wrong if not. @param {string} text */
function check(text) {
  const { about, event, answer } = asking;
  if (about === "turn") return checkTurn(nodes.findIndex(({ name, path }, i) => [name, path, names[i]].includes(text.trim())));
  const guess = read(text);
  if (guess === null) return say("A number is needed, such as −0.25 or 1/3.");
  if (agrees(guess, answer)) return praised(praise(about, event));
  missed(hint(about, guess, answer, event));
}

/** @param {number} node the guess; -1 for none */
function checkTurn(node) {
  const { event } = asking;
  if (node === event.node) return praised(`Right: all that ${nodes[node].path} waits for has arrived.`);
  if (node < 0) return say("The name of a node is needed, as it stands in the picture.");
  if (nodes[node].row === null) return missed("That is a leaf: it only receives.");
  const waits = timeline.slice(position).some((later) => later.kind === "added" && later.parent === node);
  missed(waits ? "It has not received all of its gradient yet." : "It has handed its gradient on, or its turn comes later.");
}

/** @param {string} words */
function praised(words) {
  if (!asking.tried) score.right++;
  score.asked++;
  go(position + 1, true);
  byId("remarks").prepend(element("p", { className: "praise" }, words));
  byId("forth").focus();
}

/** @param {string} words */
function missed(words) {
  asking.tried = true;
  say(words);
  byId("guess").select();
}

function praise(about, { upstream, local, contribution, before, after, node, value }) {
  if (about === "contribution") return `Right: ${short(upstream)} × ${short(local)} = ${short(contribution)}.`;
  if (about === "sum") return `Right: ${short(before)} + ${short(contribution)} = ${short(after)}.`;
  return about === "factor" ? `Right: the local gradient is ${short(local)}.` : `Right: ${nodes[node].path} = ${short(value)}.`;
}

/** What a wrong guess may come from. @param {string} about @param {number} guess @param {number} answer @param {Event} event */
function hint(about, guess, answer, event) {
  const { node, position: place, upstream, local, contribution, before, after } = event;
  const cousins = timeline.filter((other) => other.kind === "added" && other.node === node && other.position !== place);
  const cousin = (part) => cousins.find((other) => agrees(guess, other[part]));
  if (agrees(guess, -answer)) return "The size is right. What about the sign?";
  if (about === "value") return "Not quite. The formula is above, with its numbers.";
  if (about === "sum") {
    if (agrees(guess, contribution)) return `That is what is added. ${short(before)} is there already, and += does not overwrite it.`;
    return agrees(guess, before) ? "That is the gradient before. What is added to it?" : "Not quite. It is the gradient before, plus the contribution.";
  }
  if (about === "factor") {
    if (agrees(guess, upstream * local)) return "That is the contribution: the upstream is in it already. The local gradient is asked for.";
    if (agrees(guess, upstream)) return "That is the upstream gradient. The local gradient says how the node changes with this parent alone.";
    const other = cousin("local");
    return other ? `That is the local gradient for ${nodes[other.parent].path}, the other parent.` : "Not quite. Differentiate the node by this parent alone.";
  }
  if (agrees(guess, after)) return "That is the sum afterwards. How much is added to it?";
  if (agrees(guess, upstream)) return "That is the upstream gradient. It is still to be multiplied by the local gradient.";
  if (agrees(guess, local)) return "That is the local gradient. It is still to be multiplied by the upstream.";
  if (agrees(guess, upstream + local)) return "That is the sum. By the chain rule the two are multiplied.";
  const other = cousin("contribution");
  return other ? `That is what ${nodes[other.parent].path} gets, the other parent.` : "Not quite. It is upstream × local gradient.";
}

/** @param {string} text */
function say(text) {
  byId("feedback").textContent = text;
}

/** How many questions were answered right at once. */
function showScore() {
  byId("score").textContent = score.asked ? `${score.right} of ${score.asked} right at once` : "";
}
