import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blankCode } from './blankCode.ts'

/** Blanked characters shown as dots. */
const shown = (text: string): string =>
  [...blankCode(text)].map((char, at) => (char === ' ' && text[at] !== ' ' ? '.' : char)).join('')

describe('code that Markdown shows is blanked, and nothing else:', () => {
  it.each([
    ['a `b` c', 'a ... c'],
    ['a ``b ` c`` d', 'a ... . ... d'],
    ['a `b c', 'a `b c'],
    ['a `b`` c', 'a `b`` c'],
    ['```\na\n```\nb', '...\n.\n...\nb'],
    ['```js\na\n```', '.....\n.\n...'],
    ['  ~~~\na\n  ~~~~\nb', '  ...\n.\n  ....\nb'],
    ['```\na\n~~~\nb', '```\na\n~~~\nb'],
    ['````\na\n```\nb\n````\nc', '....\n.\n...\n.\n....\nc'],
    ['```\na', '```\na'],
    ['    ```\na', '    ```\na'],
    ['x\n```\na\n```\ny `z`\n```\nb\n```', 'x\n...\n.\n...\ny ...\n...\n.\n...'],
    ['no code at all', 'no code at all'],
  ])('%j', (text, expected) => {
    expect(shown(text)).toBe(expected)
  })
})

it('keeps every character in its place', () => {
  const piece = fc.constantFrom('`', '``', '```', '````', '~~~', '\n', ' ', 'a', '```\n', '\n~~~~\n')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('')
      const blanked = blankCode(text)
      expect(blanked).toHaveLength(text.length)
      for (let at = 0; at < text.length; at++) expect([text[at], ' ']).toContain(blanked[at])
    }),
  )
})
