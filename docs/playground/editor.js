// The editor of a program or of a cell: CodeMirror with Python, and a mark on the line where an error arose.
import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";

const mark = StateEffect.define();
const wrong = Decoration.line({ class: "wrong", attributes: { "aria-invalid": "true" } });

const marked = StateField.define({
  create: () => Decoration.none,
  update(found, transaction) {
    if (transaction.docChanged) return Decoration.none;
    for (const effect of transaction.effects) {
      if (!effect.is(mark)) continue;
      const lines = transaction.state.doc.lines;
      const at = effect.value >= 1 && effect.value <= lines ? transaction.state.doc.line(effect.value).from : null;
      found = at === null ? Decoration.none : Decoration.set([wrong.range(at)]);
    }
    return found;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** An editor in `parent`; `run` is what Ctrl-Enter does, `changed` is told of each change of the text. */
export function editor(parent, text, { label, run, changed = () => {}, numbers = true }) {
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        numbers ? lineNumbers() : [],
        history(),
        drawSelection(),
        indentOnInput(),
        indentUnit.of("    "),
        bracketMatching(),
        closeBrackets(),
        highlightActiveLine(),
        syntaxHighlighting(classHighlighter),
        python(),
        marked,
        keymap.of([
          { key: "Mod-Enter", preventDefault: true, run: () => (run(), true) },
          { key: "Shift-Enter", preventDefault: true, run: () => (run(), true) },
          ...closeBracketsKeymap,
          ...defaultKeymap,
          ...historyKeymap,
          indentWithTab,
        ]),
        EditorView.contentAttributes.of({ "aria-label": label }),
        EditorView.updateListener.of((update) => update.docChanged && changed()),
      ],
    }),
  });
  return {
    get text() {
      return view.state.doc.toString();
    },
    set text(text) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
    },
    mark: (line) => view.dispatch({ effects: mark.of(line ?? 0) }),
    focus: () => view.focus(),
  };
}
