import { describe, expect, it } from 'vitest'
import { isSid } from './sid.ts'

describe('the name of a session', () => {
  it.each(['a', 'AZaz09-_', '550e8400-e29b-41d4-a716-446655440000', 'x'.repeat(128)])('%s', (name) => {
    expect(isSid(name)).toBe(true)
  })

  it.each([
    '',
    'x'.repeat(129),
    '}',
    '{x}',
    'a}b',
    'a b',
    'a\n',
    '\n',
    'a\0',
    '../a',
    'ä',
    'a:m',
    '*',
    '%2e',
    'a\r\nDEL x',
  ])('not %j', (name) => {
    expect(isSid(name)).toBe(false)
  })
})
