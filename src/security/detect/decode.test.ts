import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeEntities, findInForms } from './decode.ts'

/** Looks for a word and says where the original has it. */
function where(text: string, word: string): string | undefined {
  const found = findInForms(text, (form) => {
    const start = form.indexOf(word)
    return start < 0 ? null : { start, end: start + word.length, reason: 'it' }
  })
  return found
    ? `${text.slice(found.offset, found.offset + found.length)} by ${found.decodedVia || 'sight'}`
    : undefined
}

describe('a word is found, and its place in the original named,', () => {
  it.each([
    ['in plain sight', 'say <b> now', '<b>', '<b> by sight'],
    ['in percent escapes', 'say %3Cb%3e now', '<b>', '%3Cb%3e by percent'],
    ['in escapes of escapes', 'say %253Cb%253e now', '<b>', '%253Cb%253e by percent>percent'],
    ['in percent-u escapes', 'say %u003cb%U003E now', '<b>', '%u003cb%U003E by percent'],
    ['in overlong UTF-8', 'say %C0%BCb%e0%80%be now', '<b>', '%C0%BCb%e0%80%be by percent'],
    ['in entities by number', '&#60;b&#x3E;', '<b>', '&#60;b&#x3E; by entity'],
    ['in entities without a semicolon', '&#60b&gt', '<b>', '&#60b&gt by entity'],
    ['in entities padded with zeros', '&#x0003c;b&#0000062;', '<b>', '&#x0003c;b&#0000062; by entity'],
    ['in entities by name, of entities', '&amp;lt;b&amp;gt;', '<b>', '&amp;lt;b&amp;gt; by entity>entity'],
    ['in escapes of scripts', 'x\\x3cb\\u{00003e}y', '<b>', '\\x3cb\\u{00003e} by escape'],
    ['in octal escapes', 'x\\74b\\076y', '<b>', '\\74b\\076 by escape'],
    ['in full width', 'say ＜ｂ＞ now', '<b>', '＜ｂ＞ by fold'],
    ['in mathematical letters', 'say <𝐛> now', '<b>', '<𝐛> by fold'],
    ['under quotes that a database folds', 'x’ or', "x'", 'x’ by fold'],
    [
      'with invisible characters within',
      's\u200bc\u00adr\0ipt',
      'script',
      's\u200bc\u00adr\0ipt by invisible',
    ],
    ['in a query string', 'a+or+b', 'a or b', 'a+or+b by plus'],
    ['by several steps', '&#37;3cb&#37;3e', '%3cb%3e', '&#37;3cb&#37;3e by entity'],
    ['in full-width entities', '＆＃６０；b>', '<b>', '＆＃６０；b> by fold>entity'],
  ])('%s', (_, text, word, expected) => {
    expect(where(text, word)).toBe(expected)
  })
})

it('takes a plus for a blank only where there is no other blank', () => {
  expect(where('1 + 2+or+3', 'or 3')).toBeUndefined()
})

it('leaves what is no escape as it is', () => {
  expect(where('100%, 5%zz &nosuch; &#; \\q', '100%, 5%zz &nosuch; &#; \\q')).toMatch(/by sight$/)
  expect(decodeEntities('a &lt b &nosuch; &#99999999; &#0;')).toBe('a < b &nosuch;  ')
})

it('places whatever it finds within the original', () => {
  const piece = fc.constantFrom(
    '%3c',
    '%253c',
    '&lt;',
    '&amp;#60',
    '\\x3c',
    '＜',
    '\u200b',
    '+',
    'a',
    ' ',
    '%',
    '&',
    '\ud835\udc00',
    '℀',
  )
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 20 }),
      fc.constantFrom('<', 'a<', '<<', 'a/c', 'A'),
      (pieces, word) => {
        const text = pieces.join('')
        const found = findInForms(text, (form) => {
          const start = form.lastIndexOf(word)
          return start < 0 ? null : { start, end: start + word.length, reason: 'it' }
        })
        if (!found) return
        expect(found.offset).toBeGreaterThanOrEqual(0)
        expect(found.length).toBeGreaterThanOrEqual(1)
        expect(found.offset + found.length).toBeLessThanOrEqual(text.length)
        // Decoding the place alone gives the word again, and maybe what stood around it.
        if (!found.decodedVia.includes('plus'))
          expect(where(text.slice(found.offset, found.offset + found.length), word)).toBeDefined()
      },
    ),
    { numRuns: 2000 },
  )
})

it('joins long texts right', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 3000 }), (before, after) => {
      const text = `${'%20'.repeat(before)}${'x'.repeat(after)}%3cEND%3e${'%41'.repeat(after)}`
      const found = findInForms(text, (form) => {
        const start = form.indexOf('<END>')
        if (start < 0) return null
        expect(form).toBe(`${' '.repeat(before)}${'x'.repeat(after)}<END>${'A'.repeat(after)}`)
        return { start, end: start + 5, reason: 'it' }
      })
      expect(found).toMatchObject({ offset: before * 3 + after, length: 9 })
    }),
    { numRuns: 30 },
  )
})
