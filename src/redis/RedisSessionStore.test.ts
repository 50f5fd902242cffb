import { describe, expect, it } from 'vitest'
import { ModelEngine, ModelServer } from '../../tests/support/ModelServer.ts'
import { TEXT } from '../session/frames.ts'
import type { SessionOwner } from '../session/sharedSessions.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { redisSessionStore } from './RedisSessionStore.ts'

const HEAD = {
  key: 'k',
  principal: 'p',
  ttl: 60_000,
  limits: { maxMessages: 10, maxBytes: 1000, maxFrame: 1000 },
}

/** What a server that lets go of a session waits for. */
const HANDLERS_MS = 4

/** Nodes on one engine, in virtual time, each with an owner that notes what it is told. */
function makeFleet() {
  const clock = new VirtualClock()
  const server = new ModelServer(clock)
  const node = () => {
    const store = redisSessionStore({ engine: new ModelEngine(server, clock), clock, random: () => 0.5 })
    const heard: string[] = []
    const owner: SessionOwner = {
      letGo: async (sid) => {
        heard.push(`let go of ${sid}`)
        await new Promise<void>((resolve) => clock.setTimeout(resolve, HANDLERS_MS))
        return undefined
      },
      lapsed: () => heard.push('lapsed'),
      adopt: () => {},
      posted: (_, messages) => heard.push(...messages.map(({ payload }) => `${payload}`)),
      whispered: () => {},
      report: (error) => heard.push(`${error}`),
    }
    store.shared.join(owner)
    return { store, heard }
  }
  const settle = async <T>(result: T | Promise<T>, ms = 1000): Promise<T> => {
    const promise = Promise.resolve(result)
    promise.catch(() => {})
    await clock.advance(ms)
    return promise
  }
  return { clock, server, node, settle }
}

const post = (payload: string) => ({ token: payload, stream: TEXT, payload, priority: 0, expiresAt: -1 })

describe('a session in the engine', () => {
  it.each(['}', '{', 'a}b', '{a}', 'a:m', ' ', 'a\r\nDEL b'])(
    'cannot be named %j: the engine is not asked',
    async (sid) => {
      const { node, settle } = makeFleet()
      const one = node()
      await settle(one.store.find('s'))
      const before = one.store.getStats().calls
      expect(await settle(one.store.find(sid))).toBeUndefined()
      const shown = { key: 'k', principal: 'p', epoch: 1 }
      expect(await settle(one.store.shared.take(sid, shown), 0)).toBeUndefined()
      expect(one.store.getStats().calls).toBe(before)
    },
  )

  it('gives a new server all that lies in the inbox, also what an earlier one had read and not taken', async () => {
    const { node, settle } = makeFleet()
    const one = node()
    const { shared } = one.store
    await settle(one.store.write('s', 0, [{ kind: 'begin', session: { sid: 's', ...HEAD } }]))
    shared.collect('s')
    await settle(shared.post('s', post('first')))
    expect(one.heard).toEqual(['first'])
    // The session was dropped here, and a client brings it back.
    expect(await settle(shared.take('s', { key: 'k', principal: 'p', epoch: 1 }))).toBeDefined()
    shared.collect('s')
    await settle(shared.post('s', post('second')))
    expect(one.heard).toEqual(['first', 'first', 'second'])
  })

  it('goes to who has asked for it in one step, with all that it is', async () => {
    const { node, settle, server } = makeFleet()
    const [one, other] = [node(), node()]
    const entry = { seq: 1, stream: TEXT, payload: 'hello', bytes: 5, priority: 0, expiresAt: -1 }
    await settle(one.store.write('s', 0, [{ kind: 'begin', session: { sid: 's', ...HEAD } }]))
    await settle(one.store.write('s', 0, [{ kind: 'number', sid: 's', number: 1, entry }]))
    await settle(other.store.shared.sids()[Symbol.asyncIterator]().next())
    const callsBefore = other.store.getStats().calls
    const taken = await settle(other.store.shared.take('s', { key: 'k', principal: 'p', epoch: 4 }))
    expect(taken).toMatchObject({ session: { sid: 's', key: 'k', epoch: 0, messages: [entry] } })
    expect(one.heard).toEqual(['let go of s'])
    expect(server.ownerOf('s')).not.toBe('')
    // The question, and the name in the index: nothing was fetched.
    expect(other.store.getStats().calls - callsBefore).toBeLessThanOrEqual(4)
    expect(await settle(one.store.write('s', 4, [{ kind: 'rx', sid: 's', rx: 1 }]))).toBe('stale')
    expect(await settle(other.store.write('s', 4, [{ kind: 'rx', sid: 's', rx: 1 }]))).toBe('stored')
  })

  it.each(Array.from({ length: 12 }, (_, ms) => ms))(
    'is where its client is, when that comes back to the old one %i ms after another has asked',
    async (ms) => {
      const { clock, node, settle } = makeFleet()
      const [one, other] = [node(), node()]
      await settle(one.store.write('s', 0, [{ kind: 'begin', session: { sid: 's', ...HEAD } }]))
      await settle(other.store.shared.sids()[Symbol.asyncIterator]().next())
      const asked = other.store.shared.take('s', { key: 'k', principal: 'p', epoch: 1 })
      await clock.advance(ms)
      const back = one.store.shared.take('s', { key: 'k', principal: 'p', epoch: 2 }).then((result) => {
        one.heard.push('taken')
        return result
      })
      const taken = [await settle(back, 20_000), await settle(asked, 20_000)]
      expect(taken.some((result) => typeof result === 'object')).toBe(true)
      const rx = [{ kind: 'rx', sid: 's', rx: 1 }] as const
      const wrote = [await settle(one.store.write('s', 2, rx)), await settle(other.store.write('s', 2, rx))]
      // The newer one has it, and does not have to leave for the ghost.
      expect(wrote).toEqual(['stored', 'stale'])
      expect(one.heard.at(-1)).toBe('taken')
    },
  )

  it.each(Array.from({ length: 16 }, (_, ms) => ms))(
    'is not given away unheard, when a ghost comes to the old one %i ms after its client has asked',
    async (ms) => {
      const { clock, node, settle } = makeFleet()
      const [one, other] = [node(), node()]
      await settle(one.store.write('s', 0, [{ kind: 'begin', session: { sid: 's', ...HEAD } }]))
      await settle(other.store.shared.sids()[Symbol.asyncIterator]().next())
      const asked = other.store.shared.take('s', { key: 'k', principal: 'p', epoch: 2 })
      await clock.advance(ms)
      const ghost = one.store.shared.take('s', { key: 'k', principal: 'p', epoch: 1 }).then((taken) => {
        if (typeof taken === 'object') one.heard.push('taken')
        return taken
      })
      await settle(ghost, 20_000)
      expect(await settle(asked, 20_000)).toBeTypeOf('object')
      const rx = [{ kind: 'rx', sid: 's', rx: 1 }] as const
      expect(await settle(one.store.write('s', 2, rx))).toBe('stale')
      expect(await settle(other.store.write('s', 2, rx))).toBe('stored')
      // Whoever was given it had to let go of it.
      expect(one.heard.at(-1)).toBe('let go of s')
    },
  )
})
