import { describe, expect, it } from 'vitest'
import { nobodies } from '../../tests/support/hostileValues.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { bearerOf, LoginCheck } from './principal.ts'

function check() {
  const errors: unknown[] = []
  const clock = new VirtualClock()
  const login = new LoginCheck({ clock, timeoutMs: 1000, onError: (error) => errors.push(error) })
  return { errors, clock, login }
}

describe('who is at the other end', () => {
  it.each([['ada'], [' '], ['undefined'], ['0']])('%j is somebody, sooner or later', async (name) => {
    const { login, errors } = check()
    expect(await login.ask(() => name)).toEqual({ kind: 'somebody', principal: name })
    expect(await login.ask(async () => name)).toEqual({ kind: 'somebody', principal: name })
    expect(errors).toEqual([])
  })

  it.each(nobodies)('%s is nobody', async (_what, give) => {
    expect(await check().login.ask(give)).toEqual({ kind: 'nobody' })
  })

  it('who does not say in time is told apart', async () => {
    const { login, clock, errors } = check()
    const asked = login.ask(() => new Promise(() => {}))
    await clock.advance(1000)
    expect(await asked).toEqual({ kind: 'late' })
    expect(errors).toMatchObject([{ isTimeoutError: true }])
  })

  it('says once what came in place of a string, and nothing of what it held', async () => {
    const { login, errors } = check()
    for (let n = 0; n < 3; n += 1) {
      await login.ask(() => undefined)
      await login.ask(() => null)
      await login.ask(() => ({ password: 'hunter2' }))
    }
    expect(errors.map(String)).toEqual([
      expect.stringContaining('it gave null'),
      expect.stringContaining('it gave an object'),
    ])
    expect(errors.map(String).join()).not.toContain('hunter2')
  })

  it.each([
    ['Bearer abc', 'abc'],
    ['bearer   a b', 'a b'],
    ['Basic abc', undefined],
    ['Bearer ', undefined],
    [undefined, undefined],
  ])('the token of %j is %j', (header, token) => {
    expect(bearerOf(header)).toBe(token)
  })
})
