// Characters that people do not see and programs do: bidirectional overrides, tag characters, lone surrogates, control
// codes. Joiners, variation selectors and direction marks stay legal: emoji and many scripts need them.

import type { Finding } from './finding.ts'

// C0 without tab and newlines, DEL, C1; zero-width no-break within text; interlinear annotation; noncharacters.
const CONTROL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb\ufffe\uffff]|(?!^)\ufeff/
const OVERRIDE = /[\u202d\u202e]/
const DIRECTION = /[\u202a-\u202c\u2066-\u2069]/
const HIDDEN_OPERATOR = /[\u2061-\u2064\u206a-\u206f\u180e\u115f\u1160\u3164\uffa0]/
const SURROGATE = /\p{Surrogate}/u
// Tag characters spell the flags of regions after a black flag, and nothing else.
const TAG = /[\u{e0000}-\u{e007f}]/u
const FLAG = /\u{1f3f4}[\u{e0020}-\u{e007e}]{1,8}\u{e007f}/gu
const SELECTORS = /(?:[\u{e0100}-\u{e01ef}]|[\ufe00-\ufe0f]){3}/u
const PLAIN = /^[\t\n\r\x20-\x7e]*$/

/** Where embeddings and isolates opened in a line are not closed in it, or the reverse (the Trojan Source condition). */
function unbalanced(text: string): number {
  let start = 0
  for (const line of text.split(/[\n\r]/)) {
    const open: string[] = []
    for (let at = 0; at < line.length; at++) {
      const char = line[at] as string
      if (char === '\u202a' || char === '\u202b') open.push('\u202c')
      else if (char >= '\u2066' && char <= '\u2068') open.push('\u2069')
      else if ((char === '\u202c' || char === '\u2069') && open.pop() !== char) return start + at
    }
    if (open.length) return start + line.search(DIRECTION)
    start += line.length + 1
  }
  return -1
}

/** Finds characters that hide something from the reader. */
export function detectInvisible(text: string): Finding | null {
  if (PLAIN.test(text)) return null
  const found = (offset: number, reason: string): Finding => ({ offset, length: 1, reason, decodedVia: '' })
  let at = text.search(CONTROL)
  if (at >= 0) return found(at, 'control character')
  at = text.search(OVERRIDE)
  if (at >= 0) return found(at, 'bidirectional override')
  if (DIRECTION.test(text)) {
    at = unbalanced(text)
    if (at >= 0) return found(at, 'unbalanced direction')
  }
  at = text.search(SURROGATE)
  if (at >= 0) return found(at, 'lone surrogate')
  at = text.search(HIDDEN_OPERATOR)
  if (at >= 0) return found(at, 'invisible character')
  if (TAG.test(text)) {
    at = text.replace(FLAG, (flag) => '.'.repeat(flag.length)).search(TAG)
    if (at >= 0) return found(at, 'tag character')
  }
  at = text.search(SELECTORS)
  return at >= 0 ? found(at, 'run of variation selectors') : null
}
