import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseHttpDate, retryAfterMs, shouldRetry } from './retryAfter.ts'

const now = Date.UTC(2030, 0, 1, 12, 0, 0)

describe('Retry-After', () => {
  it.each([
    ['seconds', '120', 120_000],
    ['none to wait', '0', 0],
    ['a fraction, rounded up', '0.0001', 1],
    ['a date', 'Tue, 01 Jan 2030 12:01:00 GMT', 60_000],
    ['a date in the form of RFC 850', 'Tuesday, 01-Jan-30 12:01:00 GMT', 60_000],
    ['a date in the form of asctime', 'Tue Jan  1 12:01:00 2030', 60_000],
    ['a date that is past', 'Tue, 01 Jan 2030 11:00:00 GMT', 0],
    ['nonsense', 'soon', undefined],
    ['a negative number', '-5', undefined],
    ['a date of no form', '01/01/2030 12:01', undefined],
    ['a month that does not exist', 'Tue, 01 Foo 2030 12:01:00 GMT', undefined],
    ['nothing', '', undefined],
  ])('with %s', (_what, value, expected) => {
    expect(retryAfterMs({ 'retry-after': value }, now)).toBe(expected)
  })

  it('in milliseconds wins over the one in seconds', () => {
    expect(retryAfterMs({ 'retry-after-ms': '1500', 'retry-after': '60' }, now)).toBe(1500)
    expect(retryAfterMs({ 'retry-after-ms': 'x', 'retry-after': '60' }, now)).toBe(60_000)
  })

  it("is reckoned by the server's clock where it shows it: ours may be ahead", () => {
    const headers = { 'retry-after': 'Tue, 01 Jan 2030 12:01:00 GMT', date: 'Tue, 01 Jan 2030 11:59:00 GMT' }
    expect(retryAfterMs(headers, now)).toBe(120_000)
  })

  it('is never early: every form gives at least the time asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000 }), (seconds) => {
        const at = new Date(now + seconds * 1000)
        expect(retryAfterMs({ 'retry-after': String(seconds) }, now)).toBe(seconds * 1000)
        expect(retryAfterMs({ 'retry-after': at.toUTCString() }, now)).toBe(seconds * 1000)
      }),
    )
  })
})

describe('an HTTP date', () => {
  it('of two digits lies at most 50 years ahead', () => {
    expect(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT', now)).toBe(Date.UTC(1994, 10, 6, 8, 49, 37))
    expect(parseHttpDate('Sunday, 06-Nov-79 08:49:37 GMT', now)).toBe(Date.UTC(2079, 10, 6, 8, 49, 37))
  })

  it.each([
    ['120, 60', 120_000],
    ['1, 2, 3', 3000],
    ['Tue, 01 Jan 2030 00:00:10 GMT, 5', 10_000],
    ['5, Tue, 01 Jan 2030 00:00:02 GMT', 5000],
    ['nonsense, 7', 7000],
    ['Tue, 01 Jan 2030 00:00:10 UTC', 10_000],
    ['2030-01-01T00:00:10Z', 10_000],
    ['2030-01-01T00:00:10.5Z', 10_500],
    ['2030-01-01T02:00:10+02:00', 10_000],
    ['2030-01-01T00:00:10', undefined],
    ['2030-13-01T00:00:10Z', undefined],
    ['nonsense, more', undefined],
  ])('reads lists, UTC and ISO dates: %s', (value, expected) => {
    expect(retryAfterMs({ 'retry-after': value }, Date.UTC(2030, 0, 1))).toBe(expected)
  })

  it('reads what the platform writes', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date(0), max: new Date(Date.UTC(2999, 0)), noInvalidDate: true }),
        (date) => {
          expect(parseHttpDate(date.toUTCString(), now)).toBe(Math.floor(date.getTime() / 1000) * 1000)
        },
      ),
    )
  })
})

describe('x-should-retry', () => {
  it.each([
    ['true', true],
    ['false', false],
    ['maybe', undefined],
  ])('%s', (value, expected) => {
    expect(shouldRetry({ 'x-should-retry': value })).toBe(expected)
  })
})
