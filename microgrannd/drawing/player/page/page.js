/** @param {string} id @returns {any} */
function byId(id) {
  return document.getElementById(id);
}

/**
 * An element with children; strings become text, never markup.
 * @param {string} tag
 * @param {Record<string, any>} properties
 * @param {...(Node | string)} children
 */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** A name or a formula: text of its own direction, whatever script it is in. @param {string} text */
function isolated(text) {
  return element("bdi", {}, text);
}

/** The parts with a text between them. @param {(Node | string)[]} parts @param {string} between */
function joined(parts, between) {
  return parts.flatMap((part, i) => (i ? [between, part] : [part]));
}

const recording = JSON.parse(byId("recording").textContent);
/** A drawing: nothing is played, and the numbers are as they were. */
const drawing = recording.still ?? null;
