// The tag states of the HTML tokenizer (WHATWG HTML, 13.2.5.6 to 13.2.5.40), startable anywhere: an input can land in
// text, in an attribute, in a comment or in raw text, and we cannot know which. Knows no name that is dangerous.

/** Whether the tokenizer takes this code for a blank between attributes; `/` separates them too. */
function separates(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0x2f
}

/** Where a tag's name ends: at a blank, `/`, `>` or the end. */
export function tagNameEnd(text: string, start: number): number {
  let at = start
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === 0x3e || separates(code)) break
    at++
  }
  return at
}

/** Called for every attribute; a value that is missing has `valueStart` -1. Returning true ends the walk. */
export type OnAttribute = (
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
) => boolean

/**
 * Walks the attributes from `start`, which stands before an attribute's name, to the end of the tag.
 *
 * `seen` remembers, by the bit `mark`, where a walk has been: two walks that meet go on alike, so the second stops.
 * This makes all walks over one text together linear. Returns true when `onAttribute` did.
 */
export function walkAttributes(
  text: string,
  start: number,
  seen: Uint8Array,
  mark: number,
  onAttribute: OnAttribute,
): boolean {
  const length = text.length
  let at = start
  for (;;) {
    while (at < length && separates(text.charCodeAt(at))) at++
    if (at >= length || text.charCodeAt(at) === 0x3e) return false
    if ((seen[at] as number) & mark) return false
    seen[at] = (seen[at] as number) | mark
    const nameStart = at++ // a leading `=` belongs to the name
    let code = 0
    while (at < length) {
      code = text.charCodeAt(at)
      if (code === 0x3d || code === 0x3e || separates(code)) break
      at++
    }
    const nameEnd = at
    while (at < length && code !== 0x2f && separates(code)) code = text.charCodeAt(++at)
    let valueStart = -1
    let valueEnd = -1
    if (text.charCodeAt(at) === 0x3d) {
      at++
      while (at < length && text.charCodeAt(at) !== 0x2f && separates(text.charCodeAt(at))) at++
      const quote = text.charCodeAt(at)
      if (quote === 0x22 || quote === 0x27) {
        valueStart = at + 1
        const close = text.indexOf(quote === 0x22 ? '"' : "'", valueStart)
        valueEnd = close < 0 ? length : close
        at = valueEnd + 1
      } else {
        valueStart = at
        while (at < length) {
          code = text.charCodeAt(at)
          if (code === 0x3e || (code !== 0x2f && separates(code))) break
          at++
        }
        valueEnd = at
      }
    }
    if (onAttribute(nameStart, nameEnd, valueStart, valueEnd)) return true
  }
}
