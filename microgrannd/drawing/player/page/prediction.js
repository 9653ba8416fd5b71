/** Guessing the next contribution. */

/** Take a guess: go on if it is right, say what is wrong if not. @param {string} text */
function check(text) {
  const event = timeline[position];
  const guess = read(text);
  const answer = event.contribution;
  if (guess === null) return say("A number is needed, such as −0.25 or 1/3.");
  if (!agrees(guess, answer)) return say(hint(guess, event));
  go(position + 1, true);
  const praise = `Right: ${short(event.upstream)} × ${short(event.local)} = ${short(answer)}.`;
  byId("remarks").prepend(element("p", { className: "praise" }, praise));
  byId("forth").focus();
}

/** What a wrong guess may come from. @param {number} guess @param {Event} event */
function hint(guess, { upstream, local, contribution, after }) {
  if (agrees(guess, -contribution)) return "The size is right. What about the sign?";
  if (agrees(guess, after)) return "That is the sum afterwards. How much is added to it?";
  if (agrees(guess, upstream)) return "That is the upstream gradient. It is still to be multiplied by the local gradient.";
  if (agrees(guess, local)) return "That is the local gradient. It is still to be multiplied by the upstream.";
  if (agrees(guess, upstream + local)) return "That is the sum. By the chain rule the two are multiplied.";
  return "Not quite. It is upstream × local gradient.";
}

/** @param {string} text */
function say(text) {
  byId("feedback").textContent = text;
}
