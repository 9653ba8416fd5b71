"use strict";
// The exercises one after the other, each in its player; what each tells of its guesses is added up.
const players = JSON.parse(document.getElementById("players").textContent);
const [choice, place, total] = ["choice", "place", "total"].map((id) => document.getElementById(id));
const scores = players.map(() => ({ right: 0, asked: 0 }));
const frames = [];

function show(i) {
  frames[i] ??= frame(i);
  frames.forEach((other, k) => (other.hidden = k !== i));
  [...choice.children].forEach((button, k) => button.setAttribute("aria-current", k === i));
}

function frame(i) {
  const made = document.createElement("iframe");
  made.sandbox = "allow-scripts";
  made.title = `Exercise ${i + 1}`;
  made.srcdoc = players[i];
  place.append(made);
  return made;
}

function tell() {
  const [right, asked] = ["right", "asked"].map((part) => scores.reduce((sum, score) => sum + score[part], 0));
  total.textContent = asked ? `${right} of ${asked} right at once, in ${scores.filter((score) => score.asked).length} of ${players.length} exercises` : " ";
}

addEventListener("message", ({ source, data }) => {
  const i = frames.findIndex((frame) => frame?.contentWindow === source);
  if (i < 0 || !Number.isInteger(data?.right) || !Number.isInteger(data?.asked)) return;
  const done = data.position === data.steps;
  scores[i] = { right: data.right, asked: data.asked };
  choice.children[i].textContent = done ? `${i + 1} ✓` : `${i + 1}`;
  tell();
});

players.forEach((_, i) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `${i + 1}`;
  button.setAttribute("aria-label", `Exercise ${i + 1}`);
  button.onclick = () => show(i);
  choice.append(button);
});
show(0);
tell();
