/**
 * JSON that keeps every digit. The service stores numbers as they are written, and a JavaScript number would round
 * `12345678901234567890` and forget the last digit of `1.10`.
 */

/** A number that no JavaScript number is written like. */
export class ExactNumber {
  constructor(source) {
    this.source = source;
  }

  toJSON() {
    return JSON.rawJSON(this.source);
  }

  toString() {
    return this.source;
  }
}

/** Parses a JSON text. Throws SyntaxError. */
export function parse(text) {
  return JSON.parse(text, (_, value, { source }) =>
    typeof value === "number" && String(value) !== source ? new ExactNumber(source) : value,
  );
}

/** The JSON text of a value, over several lines if `indent` is given. */
export function stringify(value, indent) {
  return JSON.stringify(value, null, indent);
}

/** Whether a value has parts: it is an array or an object. */
export function hasParts(value) {
  return typeof value === "object" && value !== null && !(value instanceof ExactNumber);
}
