import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readings, readWeights, speaksOfSql, weigh } from './evidence.ts'

describe('readings of a text', () => {
  it('start as a number, and behind the first quote of each kind', () => {
    expect(readings(`it's "x`)).toEqual([
      ['length:3'],
      ['number:', 'english', 'shortopen'],
      ["'value:", 'english', 'shortopen'],
      ['"blank:', 'letter', 'end'],
    ])
  })

  it('tell what stands before the quote', () => {
    const places = ["'x", "7'x", "f('x", "so 'x", "so it's"].map((text) => readings(text)[2]?.[0])
    expect(places).toEqual(["'start:", "'value:", "'code:", "'blank:", "'text:"])
  })

  it('end where a sentence begins, and after a bounded number of tokens', () => {
    expect(readings('1 there were many people around us')[1]).toHaveLength(7)
    expect(readings('1+'.repeat(5000))[1]?.length).toBeLessThan(60)
  })

  it('are bounded whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        for (const reading of readings(text.repeat(40))) expect(reading.length).toBeLessThan(60)
      }),
    )
  })
})

describe('weights', () => {
  const weights = readWeights({ 5: 'number  number ;', '-3': 'number ; end  word' })

  it('count for every run of signs, once', () => {
    expect(weigh('1', weights)).toBe(5)
    expect(weigh('1;', weights)).toBe(5 + 5 - 3)
    expect(weigh('1 1 1', weights)).toBe(5)
  })

  it('count nothing for runs that have none', () => {
    expect(weigh('(,)', weights)).toBe(0)
    expect(weigh('', weights)).toBe(0)
  })
})

describe('what the grammar does not know', () => {
  it.each([
    `1' and frobnicate(1,(select x from y))=1-- `,
    `' or data @> '{"a":1}' --`,
    `1) && st_frob((select * from (select version())a))#`,
    `x' zzz union select first 1 name from t--`,
  ])('is found by its tokens: %s', (text) => {
    expect(speaksOfSql(text)).toBe(true)
  })

  it.each([
    `It's 5 or 6 o'clock -- whichever you prefer.`,
    'Drop table 5 from the seating plan -- it is cancelled.',
    `const a = b['c'] || d["e"] // it's fine`,
    '12.5" x 8" (or 9")',
    '',
  ])('is told from ordinary text: %s', (text) => {
    expect(speaksOfSql(text)).toBe(false)
  })
})
