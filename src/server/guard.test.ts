import { describe, expect, it } from 'vitest'
import { booby } from '../../tests/support/hostileValues.ts'
import { isThenable } from '../core/isThenable.ts'
import { call, callNow, fieldOf, guardLogger, kindOf } from './guard.ts'

describe('the fence around the app', () => {
  it.each(booby)('%s: waited for, it never rejects', async (_what, make) => {
    const called = await call(make)
    expect(typeof called.ok).toBe('boolean')
  })

  it.each(booby)('%s: called at once, it never throws, and a late rejection is told', async (_what, make) => {
    const late: unknown[] = []
    const called = callNow(make, (error) => late.push(error))
    await new Promise(setImmediate)
    expect(typeof called.ok).toBe('boolean')
  })

  it.each(booby)('%s: looked at, it does nothing', (_what, make) => {
    const called = callNow(make, () => {})
    const value = called.ok ? called.value : called.error
    expect(kindOf(value)).toBeTypeOf('string')
    expect(isThenable(value)).toBeTypeOf('boolean')
    fieldOf(value, 'message')
  })

  it('what is fine passes as it is', async () => {
    expect(await call(async () => 1)).toEqual({ ok: true, value: 1 })
    expect(
      callNow(
        () => 'x',
        () => {},
      ),
    ).toEqual({ ok: true, value: 'x' })
    const late: unknown[] = []
    callNow(
      async () => {
        throw new Error('late')
      },
      (error) => late.push(error),
    )
    await new Promise(setImmediate)
    expect(late).toMatchObject([{ message: 'late' }])
  })

  it.each([
    ['', 'an empty string'],
    [null, 'null'],
    [false, 'false'],
    [0, 'a number'],
    [Number.NaN, 'NaN'],
    [[], 'an object'],
    [() => {}, 'a function'],
    ['secret', 'a string'],
    [1n, 'a bigint'],
  ])('%o is said to be %s', (value, words) => {
    expect(kindOf(value)).toBe(words)
  })

  it('a logger that fails loses its line, and no more; what cannot be shown is left out', async () => {
    const lines: unknown[][] = []
    const picky = (...parts: unknown[]) => {
      for (const part of parts) if (typeof part === 'object') throw new Error('cannot show it')
      lines.push(parts)
      return Promise.reject(new Error('and then it fails'))
    }
    const logger = guardLogger({ debug: picky, info: picky, warn: picky, error: picky })
    for (const level of ['debug', 'info', 'warn', 'error'] as const) logger?.[level]('what:', {})
    await new Promise(setImmediate)
    expect(lines).toEqual(Array(4).fill(['what:', '(cannot be shown)']))
    expect(guardLogger(logger)).toBe(logger)
    expect(guardLogger(undefined)).toBeUndefined()
  })
})
