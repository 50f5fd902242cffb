import { expect, it } from 'vitest'
import { detectInvisible } from './invisible.ts'

it.each([
  ['plain text\twith\nlines\r\n', 'ASCII'],
  ['naïve café – “quoted” … 日本語', 'other scripts'],
  ['👨‍👩‍👧‍👦 👍🏽 ❤️ 1️⃣', 'joiners, modifiers and variation selectors of emoji'],
  ['می‌خواهم', 'a non-joiner that Persian needs'],
  ['क्‍ष', 'a joiner that Devanagari needs'],
  ['🏴󠁧󠁢󠁳󠁣󠁴󠁿', 'the flag of a region, spelt in tags'],
  ['שלום\u200f (hello) \u200eabc', 'marks of direction'],
  ['he said \u2067שלום\u2069 twice', 'an isolate that is closed'],
  ['\ufefftext', 'a byte order mark at the start'],
])('lets pass: %j (%s)', (text) => {
  expect(detectInvisible(text)).toBeNull()
})

it.each([
  ['a\0b', 1, 'control character'],
  ['a\x1b[31m', 1, 'control character'],
  ['a\x7f', 1, 'control character'],
  ['a\x85b', 1, 'control character'],
  ['a\x9bb', 1, 'control character'],
  ['a\u2028b', 1, 'control character'],
  ['a\ufeffb', 1, 'control character'],
  ['user\u202etxt.exe', 4, 'bidirectional override'],
  ['x\u2066y', 1, 'unbalanced direction'],
  ['x\u2066y\nz\u2069', 1, 'unbalanced direction'],
  ['x\u2069', 1, 'unbalanced direction'],
  ['x\ud800y', 1, 'lone surrogate'],
  ['\udc00', 0, 'lone surrogate'],
  ['x\u2063y', 1, 'invisible character'],
  ['x\u3164y', 1, 'invisible character'],
  ['x\u{e0068}\u{e0069}', 1, 'tag character'],
  ['👍\u{e0068}', 2, 'tag character'],
  ['a\ufe00\ufe01\ufe02', 1, 'run of variation selectors'],
])('finds in %j at %i: %s', (text, offset, reason) => {
  expect(detectInvisible(text)).toMatchObject({ offset, reason, length: 1 })
})
