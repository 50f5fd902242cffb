// What every store of a server's sessions has to hold, whatever it is made of: one suite, and a model to compare it with.

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Entry } from '../../src/session/entry.ts'
import type { SessionStore, StoredSession, Write } from '../../src/session/store.ts'
import { MemorySessionStore } from '../../src/testing/MemorySessionStore.ts'
import {
  accept,
  begin,
  drop,
  empty,
  end,
  entry,
  epoch,
  head,
  number,
  prune,
  rx,
} from './outboxConformance.ts'

/** A place that holds sessions. */
export interface SessionPlace {
  /** Another store on the same place, as another process would open it. */
  open(): SessionStore | Promise<SessionStore>
  /** Clears it all away. */
  remove(): void | Promise<void>
}

export interface SessionConformance {
  readonly makePlace: () => SessionPlace | Promise<SessionPlace>
  /** Runs of the comparison with the model. */
  readonly runs: number
  /** How a handler records `value` in the database it is given, and what has been recorded, read by another handler. */
  readonly transact?: {
    record(database: unknown, value: string): void
    recorded(database: unknown): string[]
  }
}

export function describeSessionStore(name: string, { makePlace, runs, transact }: SessionConformance): void {
  describe(name, () => {
    let place: SessionPlace
    let store: SessionStore
    beforeEach(async () => {
      place = await makePlace()
      store = await place.open()
    })
    afterEach(async () => {
      await store.close()
      await place.remove()
    })

    /** What the next server finds. */
    async function again(sid: string): Promise<StoredSession | undefined> {
      await store.close()
      store = await place.open()
      return store.find(sid)
    }
    async function all(): Promise<StoredSession[]> {
      const found: StoredSession[] = []
      for await (const one of store.list()) found.push(one)
      return found.sort((one, other) => (one.session.sid < other.session.sid ? -1 : 1))
    }
    const write = (sid: string, held: number, ...writes: Write[]) => store.write(sid, held, writes)
    const fresh = (sid: string) => ({ ...head(sid), epoch: 0, rx: 0, done: [], acked: 0, messages: [] })

    it('holds nothing at first', async () => {
      expect(await store.find('a')).toBeUndefined()
      expect(await all()).toEqual([])
    })

    it('keeps sessions apart, and lists them all', async () => {
      expect(await write('a', 0, begin('a'))).toBe('stored')
      expect(await write('b', 0, begin('b'), number('b', 1, entry(1)))).toBe('stored')
      expect(await write('a', 0, number('a', 1, entry(1, 'of a')), rx('a', 4))).toBe('stored')
      expect(await again('a')).toEqual({
        session: { ...fresh('a'), rx: 4, messages: [entry(1, 'of a')] },
        waiting: [],
      })
      expect((await all()).map(({ session }) => session.sid)).toEqual(['a', 'b'])
    })

    it('sees what it has just been asked to write', async () => {
      const written = write('a', 0, begin('a'))
      const found = store.find('a')
      await written
      expect((await found)?.session.sid).toBe('a')
    })

    it('gives messages back as they were, in their order', async () => {
      const texts = [
        entry(3, 'text, ünïcode 😀, a NUL \0 and a mark \ufeff'),
        entry(4, new Uint8Array([0, 1, 255]), { stream: 255, priority: -5, expiresAt: 1_893_456_000_123.5 }),
        entry(5, new Uint8Array(0), { stream: 0, priority: 9 }),
        entry(6, new Uint8Array([9, 8, 7, 6]).subarray(1, 3)),
      ]
      await write(
        'a',
        0,
        begin('a'),
        number('a', 1, entry(1)),
        number('a', 2, entry(2, new Uint8Array([1, 2]))),
        ...texts.map(accept),
      )
      const found = await again('a')
      expect(found?.session.messages).toEqual([entry(1), entry(2, new Uint8Array([1, 2]))])
      expect(found?.waiting).toEqual(texts)
    })

    it('gives a number to a message that waited', async () => {
      await write('a', 0, begin('a'), accept(entry(1)), accept(entry(2)), accept(entry(3)))
      await write('a', 0, number('a', 1, entry(2)), drop(3))
      const found = await again('a')
      expect(found?.session.messages).toEqual([entry(2)])
      expect(found?.waiting).toEqual([entry(1)])
    })

    it('forgets what is acknowledged, not that it was given', async () => {
      await write('a', 0, begin('a'), ...[1, 2, 3].map((one) => number('a', one, entry(one))))
      await write('a', 0, prune('a', 2))
      expect((await again('a'))?.session).toMatchObject({ acked: 2, messages: [entry(3)] })
      await write('a', 0, prune('a', 3))
      expect((await again('a'))?.session).toMatchObject({ acked: 3, messages: [] })
    })

    it('keeps the number of what was emptied', async () => {
      await write('a', 0, begin('a'), number('a', 1, entry(1)), number('a', 2, entry(2)), empty('a', 1))
      const [first, second] = (await again('a'))?.session.messages ?? []
      expect(first).toMatchObject({ seq: 0, payload: '', bytes: 0 })
      expect(second).toEqual(entry(2))
    })

    it('forgets a session that is over, with all its messages', async () => {
      await write('a', 0, begin('a'), number('a', 1, entry(1)), accept(entry(2)))
      expect(await write('a', 0, end('a', false))).toBe('stored')
      expect(await again('a')).toBeUndefined()
      expect(await write('a', 0, rx('a', 1))).toBe('stale')
      expect(await all()).toEqual([])
    })

    it('refuses what belongs to no session, and a session that is there already', async () => {
      expect(await write('a', 0, rx('a', 1))).toBe('stale')
      await write('a', 0, begin('a'), rx('a', 7))
      expect(await write('a', 0, begin('a'))).toBe('stale')
      expect((await again('a'))?.session.rx).toBe(7)
    })

    it('refuses all writes under an older epoch, and records nothing of them', async () => {
      await write('a', 0, begin('a'))
      expect(await write('a', 0, rx('a', 1), epoch('a', 5))).toBe('stored')
      expect(await write('a', 4, rx('a', 2), number('a', 1, entry(1)))).toBe('stale')
      expect((await again('a'))?.session).toMatchObject({ epoch: 5, rx: 1, messages: [] })
      expect(await write('a', 5, rx('a', 2))).toBe('stored')
    })

    it('refuses an epoch that is not above the last, and what comes with it', async () => {
      await write('a', 0, begin('a'), epoch('a', 5))
      for (const late of [1, 5]) expect(await write('a', 5, rx('a', 9), epoch('a', late))).toBe('stale')
      expect(await write('a', 5, epoch('a', 7), epoch('a', 6))).toBe('stale')
      expect((await again('a'))?.session).toMatchObject({ epoch: 5, rx: 0 })
      expect(await write('a', 5, epoch('a', 6), epoch('a', Number.MAX_SAFE_INTEGER))).toBe('stored')
    })

    it('of two servers that want a session, one gets it: the other is told', async () => {
      await write('a', 0, begin('a'), epoch('a', 1))
      const other = await place.open()
      expect((await other.find('a'))?.session.epoch).toBe(1)
      expect(await other.write('a', 1, [epoch('a', 2)])).toBe('stored')
      expect(await write('a', 1, rx('a', 1))).toBe('stale')
      // Also when the client comes back to it: it has missed what the other did.
      expect(await write('a', 1, epoch('a', 3))).toBe('stale')
      expect(await other.write('a', 2, [rx('a', 1)])).toBe('stored')
      await other.close()
    })

    it('once it is closed, it says so', async () => {
      await store.close()
      await store.close()
      const closed = expect.objectContaining({ code: 'STORAGE', reason: 'closed' })
      await expect((async () => store.find('a'))()).rejects.toEqual(closed)
      await expect((async () => write('a', 0, begin('a')))()).rejects.toEqual(closed)
      await expect(all()).rejects.toEqual(closed)
    })

    if (transact) {
      const conflict = expect.objectContaining({ code: 'STORAGE', reason: 'conflict' })
      const record = async (handled: number, value: string, sid = 'a') =>
        store.transact?.(sid, handled, (database) => {
          transact.record(database, value)
          return `did ${value}`
        })

      it('records what a handler does with the fact that it has done it, once', async () => {
        await write('a', 0, begin('a'))
        expect(await record(2, 'two')).toBe('did two')
        await expect(record(2, 'two again')).rejects.toEqual(conflict)
        expect((await again('a'))?.session.done).toEqual([2])
        await expect(record(2, 'two after a restart')).rejects.toEqual(conflict)
        await record(1, 'one')
        await write('a', 0, rx('a', 2))
        await expect(record(1, 'one after it is recorded')).rejects.toEqual(conflict)
        expect((await again('a'))?.session).toMatchObject({ rx: 2, done: [] })
        await store.transact?.('a', 3, (database) => {
          expect(transact.recorded(database)).toEqual(['two', 'one'])
        })
      })

      it('undoes what a handler did that throws, or that is not done when it returns', async () => {
        await write('a', 0, begin('a'))
        const failing = (error: () => unknown) => async () =>
          store.transact?.('a', 1, (database) => {
            transact.record(database, 'undone')
            return error()
          })
        await expect(
          failing(() => {
            throw new Error('the app says no')
          })(),
        ).rejects.toThrow('the app says no')
        await expect(failing(() => Promise.resolve())()).rejects.toThrow(/promise/)
        expect((await again('a'))?.session.done).toEqual([])
        await record(1, 'one')
        await store.transact?.('a', 2, (database) => expect(transact.recorded(database)).toEqual(['one']))
      })

      it('records nothing for a session that is over, or of another', async () => {
        await write('a', 0, begin('a'))
        await write('b', 0, begin('b'))
        await expect(record(1, 'unknown', 'c')).rejects.toEqual(conflict)
        await record(1, 'of b', 'b')
        await record(1, 'of a')
        await write('a', 0, end('a', false))
        await expect(record(2, 'late')).rejects.toEqual(conflict)
        expect((await again('b'))?.session.done).toEqual([1])
      })

      it('what is written beside a transaction is written all the same', async () => {
        await write('a', 0, begin('a'))
        const written = write('a', 0, rx('a', 1))
        await record(2, 'two')
        expect(await written).toBe('stored')
        expect((await again('a'))?.session).toMatchObject({ rx: 1, done: [2] })
      })
    }

    it('does what the model does, whatever it is asked', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const own = await makePlace()
          let tested = await own.open()
          const model = new MemorySessionStore()
          const given = new Map<string, { last: number; seq: number; waiting: number[] }>()
          try {
            for (const one of steps) {
              // As machines do it: a session begins with the first write of a batch, and ends with the last.
              const makes = one.makes.filter(({ kind }, index) =>
                kind === 'begin' ? index === 0 : kind !== 'end' || index === one.makes.length - 1,
              )
              const writes = makes.flatMap((make) => realize(one.sid, make, given))
              if (writes.length === 0) continue
              const results = await Promise.all([
                tested.write(one.sid, one.held, writes),
                model.write(one.sid, one.held, writes),
              ])
              expect(results[0]).toBe(results[1])
              // What was refused was not given, and what has ended gives numbers from 1 again: go on from what there is.
              if (results[0] === 'stale' || writes.at(-1)?.kind === 'end')
                resync(one.sid, await model.find(one.sid), given)
              expect(await tested.find(one.sid)).toEqual(await model.find(one.sid))
              if (one.reopens) {
                await tested.close()
                tested = await own.open()
                // A server takes up what there is before it writes.
                for await (const _ of tested.list());
              }
            }
            const listed: StoredSession[] = []
            for await (const one of tested.list()) listed.push(one)
            const expected: StoredSession[] = []
            for await (const one of model.list()) expected.push(one)
            expect(bySid(listed)).toEqual(bySid(expected))
          } finally {
            await tested.close()
            await own.remove()
          }
        }),
        { numRuns: runs },
      )
    }, 120_000)
  })
}

type Make = 'begin' | 'accept' | 'number' | 'renumber' | 'drop' | 'void' | 'prune' | 'rx' | 'epoch' | 'end'

const step = fc.record({
  sid: fc.constantFrom('a', 'b'),
  held: fc.constantFrom(0, 0, 0, 1, 5),
  reopens: fc.constantFrom(false, false, false, true),
  makes: fc.array(
    fc.record({
      kind: fc.constantFrom<Make>(
        'begin',
        'begin',
        'accept',
        'number',
        'renumber',
        'drop',
        'void',
        'prune',
        'rx',
        'epoch',
        'end',
      ),
      value: fc.integer({ min: 1, max: 6 }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
})

type Given = Map<string, { last: number; seq: number; waiting: number[] }>

/** The message that has this count, whenever it is written. */
function made(seq: number): Entry {
  return entry(seq, seq % 3 ? `text ${seq}` : new Uint8Array([seq]))
}

/** Writes as a machine would make them: numbers and counts follow each other. */
function realize(sid: string, { kind, value }: { kind: Make; value: number }, given: Given): Write[] {
  const state = given.get(sid) ?? { last: 0, seq: 0, waiting: [] }
  given.set(sid, state)
  switch (kind) {
    case 'begin':
      return [begin(sid)]
    case 'accept':
      state.seq += 1
      state.waiting.push(state.seq)
      return [accept(made(state.seq))]
    case 'number':
      state.seq += 1
      state.last += 1
      return [number(sid, state.last, made(state.seq))]
    case 'renumber': {
      const seq = state.waiting.shift()
      if (seq === undefined) return []
      state.last += 1
      return [number(sid, state.last, made(seq))]
    }
    case 'drop': {
      const seq = state.waiting.pop()
      return seq === undefined ? [] : [drop(seq)]
    }
    case 'void':
      return state.last === 0 ? [] : [empty(sid, Math.min(value, state.last))]
    case 'prune':
      return state.last === 0 ? [] : [prune(sid, Math.min(value, state.last))]
    case 'rx':
      return [rx(sid, value)]
    case 'epoch':
      return [epoch(sid, value)]
    case 'end':
      return [end(sid, false)]
  }
}

function resync(sid: string, found: StoredSession | undefined, given: Given): void {
  if (!found) {
    given.delete(sid)
    return
  }
  const { session, waiting } = found
  const seqs = [...session.messages, ...waiting].map(({ seq }) => seq)
  given.set(sid, {
    last: session.acked + session.messages.length,
    seq: Math.max(given.get(sid)?.seq ?? 0, ...seqs),
    waiting: waiting.map(({ seq }) => seq),
  })
}

function bySid(sessions: StoredSession[]): StoredSession[] {
  return sessions.sort((one, other) => (one.session.sid < other.session.sid ? -1 : 1))
}
