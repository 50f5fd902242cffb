import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import { circuitBreaker } from '../circuitBreaker/CircuitBreaker.ts'
import { compose } from '../compose.ts'
import { retry } from '../retry/retry.ts'
import { type BearerAuthOptions, bearerAuth } from './bearerAuth.ts'

const refused = () => Object.assign(new Error('401'), { status: 401 })

/** A server that takes one token only, and a policy that has an old one. */
function setUp(options: Partial<BearerAuthOptions> = {}) {
  const clock = new VirtualClock()
  const state = { valid: 'new', refreshes: 0, asked: [] as unknown[] }
  const auth = bearerAuth({
    token: 'old',
    refresh: async () => {
      state.refreshes += 1
      await new Promise<void>((resolve) => {
        clock.setTimeout(resolve, 100)
      })
      return 'new'
    },
    clock,
    ...options,
  })
  const call = async () => {
    const token = await auth.token()
    state.asked.push(token)
    if (token !== state.valid) throw refused()
    return `answer for ${token}`
  }
  return { clock, auth, state, call }
}

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    (value) => value,
    (error) => error,
  )

describe('bearerAuth', () => {
  it('renews a token that is refused, once for all, and tries once more', async () => {
    const { clock, auth, state, call } = setUp()
    const results = Array.from({ length: 20 }, () => outcome(auth.execute(call)))
    await clock.advance(200)
    expect(await Promise.all(results)).toEqual(Array.from({ length: 20 }, () => 'answer for new'))
    expect(state.refreshes).toBe(1)
    expect(state.asked).toHaveLength(40)
    expect(clock.pending).toBe(0)
  })

  it('one that begins meanwhile waits, and one that was refused before does not renew again', async () => {
    const { clock, auth, state, call } = setUp()
    const slow = Promise.withResolvers<void>()
    let first = true
    const late = outcome(
      auth.execute(async () => {
        const token = await auth.token()
        if (!first) return `late answer for ${token}`
        first = false
        await slow.promise
        throw refused()
      }),
    )
    const early = outcome(auth.execute(call))
    await clock.advance(50)
    const meanwhile = outcome(auth.execute(call))
    await clock.advance(100)
    slow.resolve()
    await clock.advance(100)
    expect(await Promise.all([early, meanwhile, late])).toEqual([
      'answer for new',
      'answer for new',
      'late answer for new',
    ])
    expect(state.refreshes).toBe(1)
  })

  it('gives up when the new one is refused too', async () => {
    const { clock, auth, state, call } = setUp()
    state.valid = 'none'
    const result = outcome(auth.execute(call))
    await clock.advance(500)
    expect(await result).toMatchObject({ status: 401 })
    expect(state).toMatchObject({ refreshes: 1, asked: ['old', 'new'] })
  })

  it.each<[string, Partial<BearerAuthOptions>, number]>([
    ['other statuses than those named', { statuses: [403] }, 401],
    ['without a way to renew', { refresh: undefined }, 401],
    ['what is no status', {}, 0],
  ])('leaves alone: %s', async (_what, options, status) => {
    const { auth } = setUp(options)
    let calls = 0
    const error = Object.assign(new Error('no'), { status })
    const result = auth.execute(() => {
      calls += 1
      throw error
    })
    expect(await outcome(result)).toBe(error)
    expect(calls).toBe(1)
  })

  it('a renewal that fails fails all who wait for it, by its name; the next tries again', async () => {
    let refreshes = 0
    const { clock, auth, call } = setUp({
      refresh: async () => {
        refreshes += 1
        if (refreshes === 1) throw new Error('no such user')
        return 'new'
      },
    })
    const results = [outcome(auth.execute(call)), outcome(auth.execute(call))]
    await clock.advance(0)
    for (const result of results)
      expect(await result).toMatchObject({ code: 'CALLBACK_FAILED', message: 'refresh threw: no such user' })
    expect(refreshes).toBe(1)
    const again = outcome(auth.execute(call))
    await clock.advance(0)
    expect(await again).toBe('answer for new')
  })

  it('a renewal has a time limit; a caller has a deadline and a signal of its own', async () => {
    const { clock, auth, call } = setUp({ refresh: () => new Promise(() => {}), refreshTimeout: 1000 })
    const controller = new AbortController()
    const byDeadline = outcome(auth.execute(call, { attempt: 1, deadlineAt: 300 }))
    const bySignal = outcome(
      auth.execute(call, { attempt: 1, deadlineAt: Infinity, signal: controller.signal }),
    )
    const byLimit = outcome(auth.execute(call))
    await clock.advance(200)
    controller.abort('enough')
    expect(await bySignal).toMatchObject({ code: 'ABORTED', cause: 'enough' })
    await clock.advance(100)
    expect(await byDeadline).toMatchObject({ code: 'TIMEOUT', phase: 'deadline' })
    await clock.advance(700)
    expect(await byLimit).toMatchObject({ code: 'TIMEOUT', timeoutMs: 1000 })
    expect(clock.pending).toBe(0)
  })

  it('what `token` gives is asked anew when a renewal gives nothing', async () => {
    let stored = 'old'
    const { clock, auth, state, call } = setUp({
      token: async () => stored,
      refresh: () => {
        stored = 'new'
      },
    })
    const result = outcome(auth.execute(call))
    await clock.advance(0)
    expect(await result).toBe('answer for new')
    expect(state.asked).toEqual(['old', 'new'])
  })

  it('around retries and a breaker, a refusal costs neither of them anything', async () => {
    const { clock, auth, call } = setUp()
    const breaker = circuitBreaker({
      clock,
      classify: (error) => ((error as { status: number }).status < 500 ? 'success' : 'failure'),
    })
    const handle = (error: unknown) => (error as { status: number }).status !== 401
    const result = outcome(compose(auth, retry({ clock, handle, retries: 0 }), breaker).execute(call))
    await clock.advance(200)
    expect(await result).toBe('answer for new')
    expect(breaker.getState()).toMatchObject({ failureCount: 0, requestCount: 2 })
  })

  it('refuses what it cannot use', () => {
    expect(() => bearerAuth({} as BearerAuthOptions)).toThrow(/bearerAuth: option "token" must be/)
    expect(() => bearerAuth({ token: 'x', statuses: [7] })).toThrow(/"statuses"/)
    expect(() => bearerAuth({ token: 'secret', refreshTimeout: 0 })).toThrow(/"refreshTimeout"/)
  })
})
