// JSON from outside: how long it is, how deep it nests and how many values it holds is known before `JSON.parse` makes
// objects of it, by one linear scan that makes none. A few kilobytes of brackets would otherwise cost a stack, or
// fifty times their size in memory.

/** How deep arrays and objects from outside may nest. */
export const MAX_JSON_DEPTH = 64

export interface JsonLimits {
  /** UTF-16 code units. @default Infinity */
  readonly maxLength?: number
  /** Arrays and objects within each other. @default 64 */
  readonly maxDepth?: number
  /** Values of all kinds, the keys of objects left out. @default Infinity */
  readonly maxValues?: number
}

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Why a text is not to be parsed, in words; `undefined` when it may be, which does not mean that it is JSON. */
export function jsonFault(text: string, limits: JsonLimits = {}): string | undefined {
  const { maxLength = Infinity, maxDepth = MAX_JSON_DEPTH, maxValues = Infinity } = limits
  if (text.length > maxLength) return `JSON of more than ${maxLength} characters`
  // Each level takes a character, each value but the first a comma or a bracket.
  if (text.length <= maxDepth && text.length < maxValues) return undefined
  let depth = 0
  let values = 1
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        depth += 1
        values += 1
        if (depth > maxDepth) return `JSON nested deeper than ${maxDepth}`
        break
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth -= 1
        break
      case COMMA:
        values += 1
    }
    if (values > maxValues) return `JSON of more than ${maxValues} values`
  }
  return undefined
}

/**
 * Parses a text that keeps the limits.
 * @throws SyntaxError for one that does not, as for one that is no JSON
 */
export function parseJson(text: string, limits?: JsonLimits): unknown {
  const fault = jsonFault(text, limits)
  if (fault !== undefined) throw new SyntaxError(fault)
  return JSON.parse(text)
}

/** Where the string that begins at `start` ends; the end of the text for one that does not. Long strings cost a search. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1
    while (text.charCodeAt(before) === BACKSLASH) before -= 1
    const backslashes = end - 1 - before
    if (backslashes % 2 === 0) return end
  }
  return text.length
}
