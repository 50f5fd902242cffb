import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SqlTokenizer } from './tokenizer.ts'

function tokens(text: string): string {
  const reader = new SqlTokenizer(text)
  const seen: string[] = []
  for (;;) {
    const { kind, start, end } = reader.next()
    if (kind === 'end') return seen.join(' ')
    seen.push(`${kind}:${text.slice(start, end)}`)
  }
}

describe('tokens', () => {
  it.each([
    ['1 or 1=1', 'number:1 logic:or number:1 compare:= number:1'],
    ['0x1f 0b01 1.5 .5 1e3 1.e(', 'number:0x1f number:0b01 number:1.5 number:.5 number:1e3 number:1.e (:('],
    ['1e1or 2', 'number:1e1 logic:or number:2'],
    ['1union', 'number:1 union:union'],
    ["'it''s' 'a\\'b' 'open", "string:'it''s' string:'a\\'b' open:'open"],
    ["n'x' x'41' _utf8'x' q'y'", "string:n'x' string:x'41' string:_utf8'x' string:q'y'"],
    ['"a""b" `c` [d e]', 'string:"a""b" string:`c` string:[d e]'],
    ['$$a$$ $t$b$t$', 'string:$$a$$ string:$t$b$t$'],
    ['a.b . c schema..t', 'word:a.b . c word:schema..t'],
    ['@x @@version :name $1 ?', 'variable:@x variable:@@version variable::name variable:$1 variable:?'],
    ['a/**/b/*!50000union*/--x\nc', 'word:a word:b union:union word:c'],
    ['a -- rest', 'word:a comment:-- rest'],
    ['a # rest', 'word:a comment:# rest'],
    ['a /* rest', 'word:a comment:/* rest'],
    [
      'a<=>b a<>b a!=b a||b a&&b',
      'word:a compare:<=> word:b word:a compare:<> word:b word:a compare:!= word:b word:a logic:|| word:b word:a logic:&& word:b',
    ],
    [
      'a::int a->>b a<<2',
      'word:a operator::: word:int word:a operator:->> word:b word:a operator:<< number:2',
    ],
    ['like.1 like.x', 'compare:like number:.1 word:like.x'],
    ['{fn now()}', 'word:now (:( ):)'],
  ])('%s', (text, expected) => {
    expect(tokens(text)).toBe(expected)
  })

  it('always come to an end, and never go back', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom(...'\'"`[]()-#/*!;,.@$:<>=|&~^%{}\\ \n019aexorunion'.split('')),
          maxLength: 60,
        }),
        (text) => {
          const reader = new SqlTokenizer(text)
          let at = 0
          for (let count = 0; ; count++) {
            const { kind, start, end } = reader.next()
            expect(start).toBeGreaterThanOrEqual(at)
            expect(end).toBeLessThanOrEqual(text.length)
            if (kind === 'end') return
            expect(end).toBeGreaterThan(start)
            expect(count).toBeLessThanOrEqual(text.length)
            at = end
          }
        },
      ),
    )
  })
})
