// What every durable outbox has to hold, whatever it is made of: one suite, and a model to compare it with.

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Entry, NEVER } from '../../src/session/entry.ts'
import { type Payload, payloadBytes, TEXT } from '../../src/session/frames.ts'
import type { OutboxRecord, OutboxStore, SessionHead, SessionRecord, Write } from '../../src/session/store.ts'

/** A place that can hold an outbox. */
export interface OutboxPlace {
  /** Another object for the same outbox. */
  open(): OutboxStore
  /** Clears it all away. */
  remove(): void | Promise<void>
}

export interface Conformance {
  readonly makePlace: () => OutboxPlace | Promise<OutboxPlace>
  /** Runs of the comparison with the model. */
  readonly runs: number
  /** Messages of the large case. */
  readonly many: number
  /** How a handler records `value` in the database it is given, and what has been recorded, read by another handler. */
  readonly transact?: {
    record(database: unknown, value: string): void
    recorded(database: unknown): string[]
  }
}

export function entry(seq: number, payload: Payload = `message ${seq}`, more: Partial<Entry> = {}): Entry {
  const stream = typeof payload === 'string' ? TEXT : 7
  return { seq, stream, payload, bytes: payloadBytes(payload), priority: 0, expiresAt: NEVER, ...more }
}

export function head(sid: string): SessionHead {
  const limits = { maxMessages: 1024, maxBytes: 4 * 2 ** 20, maxFrame: 2 ** 20 }
  return { sid, key: `the key of ${sid}`, principal: '', ttl: 60_000, limits }
}

export const accept = (one: Entry): Write => ({ kind: 'accept', entry: one })
export const drop = (seq: number): Write => ({ kind: 'drop', seq })
export const begin = (sid: string): Write => ({ kind: 'begin', session: head(sid) })
export const number = (sid: string, given: number, one: Entry): Write => ({
  kind: 'number',
  sid,
  number: given,
  entry: one,
})
export const prune = (sid: string, acked: number): Write => ({ kind: 'prune', sid, acked })
export const rx = (sid: string, upTo: number): Write => ({ kind: 'rx', sid, rx: upTo })
export const epoch = (sid: string, value: number): Write => ({ kind: 'epoch', sid, epoch: value })
export const empty = (sid: string, given: number): Write => ({ kind: 'void', sid, number: given })
export const end = (sid: string, requeue: boolean): Write => ({ kind: 'end', sid, requeue })

/** The reason an outbox gives; fails when it does not refuse. */
async function reasonOf(deed: () => unknown): Promise<unknown> {
  try {
    await deed()
  } catch (error) {
    expect(error).toMatchObject({ code: 'STORAGE', isStorageError: true })
    return (error as { reason: unknown }).reason
  }
  throw new Error('it was not refused')
}

export function describeOutbox(name: string, { makePlace, runs, many, transact }: Conformance): void {
  describe(name, () => {
    let place: OutboxPlace
    let store: OutboxStore
    beforeEach(async () => {
      place = await makePlace()
      store = place.open()
    })
    afterEach(async () => {
      await store.close()
      await place.remove()
    })

    /** What the next owner finds. */
    async function again(): Promise<OutboxRecord> {
      await store.close()
      store = place.open()
      return store.load()
    }
    const seqs = (entries: readonly Entry[] | undefined) => entries?.map(({ seq }) => seq)

    it('holds nothing at first', async () => {
      expect(await store.load()).toEqual({ session: undefined, waiting: [] })
    })

    it('gives back what was accepted, in that order, with all that belongs to it', async () => {
      await store.load()
      const entries = [
        entry(3, 'text, ünïcode 😀, a NUL \0 and a mark \ufeff'),
        entry(1, new Uint8Array([0, 1, 255]), { stream: 255, priority: -5, expiresAt: 1_893_456_000_123.5 }),
        entry(2, new Uint8Array(0), { stream: 0, priority: 9 }),
        entry(7, new Uint8Array([9, 8, 7, 6]).subarray(1, 3)),
        entry(8, 'x'.repeat(100_000)),
      ]
      await store.write(entries.map(accept))
      expect((await again()).waiting).toEqual(entries)
    })

    it('gives bytes back as they were when they were written, in memory of their own', async () => {
      await store.load()
      const large = new Uint8Array(1000)
      const payload = large.subarray(10, 13)
      payload.set([1, 2, 3])
      await store.write([accept(entry(1, payload))])
      payload.fill(0)
      const [found] = (await again()).waiting
      expect(found?.payload).toEqual(new Uint8Array([1, 2, 3]))
      expect(((found as Entry).payload as Uint8Array).buffer.byteLength).toBe(3)
    })

    it('begins a session and keeps what waits', async () => {
      await store.load()
      await store.write([accept(entry(1)), begin('a')])
      const record = await again()
      expect(record.session).toEqual({ ...head('a'), epoch: 0, rx: 0, done: [], acked: 0, messages: [] })
      expect(seqs(record.waiting)).toEqual([1])
    })

    it('numbers messages that waited and messages that never did', async () => {
      await store.load()
      await store.write([begin('a'), accept(entry(1)), accept(entry(2))])
      await store.write([number('a', 1, entry(2)), number('a', 2, entry(3, new Uint8Array([3])))])
      const record = await again()
      expect(record.session?.messages).toEqual([entry(2), entry(3, new Uint8Array([3]))])
      expect(seqs(record.waiting)).toEqual([1])
    })

    it('forgets what is acknowledged, and not that it had been given', async () => {
      await store.load()
      await store.write([begin('a'), ...[1, 2, 3].map((seq) => number('a', seq, entry(seq)))])
      await store.write([prune('a', 2)])
      await store.write([prune('a', 1)])
      const { session } = await again()
      expect(session?.acked).toBe(2)
      expect(seqs(session?.messages)).toEqual([3])
      await store.write([number('a', 4, entry(4)), prune('a', 4)])
      const later = await again()
      expect(later.session).toMatchObject({ acked: 4, messages: [] })
      await store.write([number('a', 5, entry(5))])
      expect(seqs((await again()).session?.messages)).toEqual([5])
    })

    it('empties a message that nobody takes: its number stays', async () => {
      await store.load()
      await store.write([begin('a'), number('a', 1, entry(1, new Uint8Array(50))), number('a', 2, entry(2))])
      await store.write([empty('a', 1)])
      const { session } = await again()
      expect(session?.messages[0]).toMatchObject({ seq: 0, stream: TEXT, payload: '', bytes: 0 })
      expect(session?.messages[1]).toEqual(entry(2))
    })

    it('drops only what has no number', async () => {
      await store.load()
      await store.write([begin('a'), number('a', 1, entry(1)), accept(entry(2)), accept(entry(3))])
      await store.write([drop(1), drop(2), drop(99)])
      const record = await again()
      expect(seqs(record.session?.messages)).toEqual([1])
      expect(seqs(record.waiting)).toEqual([3])
    })

    it('keeps the highest rx', async () => {
      await store.load()
      await store.write([begin('a'), rx('a', 5)])
      await store.write([rx('a', 3)])
      expect((await again()).session?.rx).toBe(5)
    })

    it('takes the largest numbers there are', async () => {
      await store.load()
      await store.write([begin('a'), rx('a', 4_294_967_295), epoch('a', Number.MAX_SAFE_INTEGER)])
      expect((await again()).session).toMatchObject({ rx: 4_294_967_295, epoch: Number.MAX_SAFE_INTEGER })
    })

    it('refuses an epoch that is not above the last, also after a restart, and of another session', async () => {
      await store.load()
      await store.write([begin('a'), epoch('a', 3)])
      expect(await reasonOf(() => store.write([epoch('a', 3)]))).toBe('conflict')
      await again()
      expect(await reasonOf(() => store.write([epoch('a', 2)]))).toBe('conflict')
      expect(await reasonOf(() => store.write([epoch('b', 9)]))).toBe('conflict')
      await store.write([epoch('a', 4)])
      expect((await again()).session?.epoch).toBe(4)
    })

    it('refuses a number that does not follow the last', async () => {
      await store.load()
      expect(await reasonOf(() => store.write([number('a', 1, entry(1))]))).toBe('conflict')
      await store.write([begin('a'), number('a', 1, entry(1))])
      expect(await reasonOf(() => store.write([number('a', 1, entry(2))]))).toBe('conflict')
      expect(await reasonOf(() => store.write([number('a', 3, entry(2))]))).toBe('conflict')
      expect(await reasonOf(() => store.write([number('b', 2, entry(2))]))).toBe('conflict')
      await store.write([number('a', 2, entry(2))])
      expect(seqs((await again()).session?.messages)).toEqual([1, 2])
    })

    it('records all writes of a call or none, and goes on', async () => {
      await store.load()
      await store.write([begin('a'), accept(entry(1))])
      const broken = [accept(entry(2)), number('a', 1, entry(1)), drop(1), rx('a', 4), epoch('a', 0)]
      expect(await reasonOf(() => store.write(broken))).toBe('conflict')
      await store.write([accept(entry(3))])
      const record = await again()
      expect(record.session).toMatchObject({ rx: 0, messages: [] })
      expect(seqs(record.waiting)).toEqual([1, 3])
    })

    it('a session that begins replaces the one before', async () => {
      await store.load()
      await store.write([begin('a'), epoch('a', 2), rx('a', 4), number('a', 1, entry(1)), accept(entry(2))])
      await store.write([begin('b')])
      const record = await again()
      expect(record.session).toMatchObject({ sid: 'b', epoch: 0, rx: 0, acked: 0, messages: [] })
      expect(seqs(record.waiting)).toEqual([2])
    })

    it('ends a session and forgets its messages', async () => {
      await store.load()
      await store.write([begin('a'), number('a', 1, entry(1)), accept(entry(2)), end('a', false)])
      const record = await again()
      expect(record.session).toBeUndefined()
      expect(seqs(record.waiting)).toEqual([2])
    })

    it('requeues the messages of a session that ends: before all others, in their order, without those emptied', async () => {
      await store.load()
      await store.write([
        begin('a'),
        accept(entry(9, 'waits', { priority: 5 })),
        ...[1, 2, 3, 4].map((seq) => number('a', seq, entry(seq, `${seq}`, { expiresAt: 5 }))),
        prune('a', 1),
        empty('a', 3),
      ])
      await store.write([end('a', true)])
      const first = { priority: Number.MAX_SAFE_INTEGER, expiresAt: NEVER }
      expect((await again()).waiting).toEqual([
        entry(2, '2', first),
        entry(4, '4', first),
        entry(9, 'waits', { priority: 5 }),
      ])
      // And again, in the next session: what was numbered there goes before what was not.
      await store.write([begin('b'), number('b', 1, entry(2, '2', first)), accept(entry(10)), end('b', true)])
      await store.write([begin('c'), number('c', 1, entry(2, '2', first))])
      const record = await again()
      expect(seqs(record.session?.messages)).toEqual([2])
      expect(seqs(record.waiting)).toEqual([4, 9, 10])
    })

    it('ignores what comes late from a session that is over', async () => {
      await store.load()
      await store.write([begin('a'), number('a', 1, entry(1)), begin('b'), number('b', 1, entry(2))])
      await store.write([rx('a', 7), prune('a', 1), empty('a', 1), end('a', true)])
      expect((await again()).session).toMatchObject({ sid: 'b', rx: 0, acked: 0, messages: [entry(2)] })
    })

    it('has one owner at a time, who gives it back', async () => {
      await store.load()
      const second = place.open()
      expect(await reasonOf(() => second.load())).toBe('locked')
      expect(await reasonOf(() => second.write([accept(entry(1))]))).toBe('closed')
      await second.destroy()
      await second.close()
      await store.write([accept(entry(2))])
      await store.close()
      expect(seqs((await second.load()).waiting)).toEqual([2])
      await second.close()
    })

    it('may be closed twice, and loaded again', async () => {
      await store.load()
      await store.write([accept(entry(1))])
      await store.close()
      await store.close()
      expect(await reasonOf(() => store.write([accept(entry(2))]))).toBe('closed')
      expect(seqs((await store.load()).waiting)).toEqual([1])
    })

    it('destroys what it holds and gives the lock back', async () => {
      await store.load()
      await store.write([begin('a'), number('a', 1, entry(1)), accept(entry(2))])
      await store.destroy()
      const next = place.open()
      expect(await next.load()).toEqual({ session: undefined, waiting: [] })
      await next.close()
    })

    it(`keeps ${many} messages, the last ones as quickly as the first`, async () => {
      await store.load()
      const numbered = (from: number, to: number): Write[] =>
        Array.from({ length: to - from + 1 }, (_, index) =>
          number('a', from + index, entry(from + index, `message ${from + index}`)),
        )
      const spent: number[] = []
      await store.write([begin('a')])
      for (let written = 0; written < many; written += many / 100) {
        const writes = numbered(written + 1, written + many / 100)
        const before = performance.now()
        await store.write(writes)
        spent.push(performance.now() - before)
      }
      const { session } = await again()
      expect(session?.messages).toHaveLength(many)
      expect(session?.messages.at(-1)?.seq).toBe(many)
      for (let acked = 0; acked <= many; acked += 5000) await store.write([prune('a', acked)])
      expect((await again()).session).toMatchObject({ acked: many, messages: [] })
      // The medians of the first and the last tenth: one that goes through all it holds is about 19 times slower there.
      const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1] as number
      expect(median(spent.slice(-10))).toBeLessThan(8 * median(spent.slice(0, 10)))
    }, 120_000)

    it('agrees with a model, whatever is written, over restarts', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          await store.close()
          const own = await makePlace()
          store = own.open()
          const model = new Model()
          try {
            await store.load()
            let batch: Write[] = []
            for (const one of steps) {
              if (one.what !== 'write' && one.what !== 'restart') {
                batch.push(...model.writes(one))
                continue
              }
              await store.write(batch)
              batch = []
              if (one.what === 'write') continue
              await store.close()
              store = own.open()
              expect(await store.load()).toEqual(model.record)
            }
            await store.write(batch)
            await store.close()
            store = own.open()
            expect(await store.load()).toEqual(model.record)
          } finally {
            await store.close()
            await own.remove()
          }
        }),
        { numRuns: runs },
      )
    }, 300_000)

    if (!transact) return
    describe('whose handlers record in its transaction', () => {
      const { record, recorded } = transact
      const run = <T>(sid: string, given: number, deed: (database: unknown) => T) =>
        (store.transact as NonNullable<OutboxStore['transact']>)(sid, given, deed)

      it('has what a handler did and that it did it, both', async () => {
        await store.load()
        await store.write([begin('a')])
        await run('a', 1, (database) => record(database, 'one'))
        await run('a', 3, (database) => record(database, 'three'))
        await store.write([rx('a', 1)])
        const { session } = await again()
        expect(session).toMatchObject({ rx: 1, done: [3] })
        expect(await run('a', 4, recorded)).toEqual(['one', 'three'])
      })

      it('has neither when the handler throws, whose error passes as it is', async () => {
        await store.load()
        await store.write([begin('a')])
        const wrong = new Error('the app says no')
        const failing = async () =>
          run('a', 1, (database) => {
            record(database, 'never')
            throw wrong
          })
        await expect(failing()).rejects.toBe(wrong)
        expect((await again()).session?.done).toEqual([])
        expect(await run('a', 1, recorded)).toEqual([])
      })

      it('records a message once', async () => {
        await store.load()
        await store.write([begin('a')])
        await run('a', 1, (database) => record(database, 'one'))
        expect(await reasonOf(async () => run('a', 1, (database) => record(database, 'twice')))).toBe(
          'conflict',
        )
        expect(await run('a', 2, recorded)).toEqual(['one'])
      })

      it('refuses a handler that is not done when it returns', async () => {
        await store.load()
        await store.write([begin('a')])
        await expect((async () => run('a', 1, async () => {}))()).rejects.toThrow(/returned a promise/)
        expect((await again()).session?.done).toEqual([])
      })

      it('keeps what a quick handler did before its session was recorded', async () => {
        await store.load()
        await store.write([begin('old')])
        await run('old', 1, () => undefined)
        await run('new', 1, (database) => record(database, 'quick'))
        await store.write([begin('new')])
        expect((await again()).session).toMatchObject({ sid: 'new', done: [1] })
        await store.write([end('new', false), begin('old')])
        expect((await again()).session).toMatchObject({ sid: 'old', done: [] })
      })
    })
  })
}

type Step =
  | { readonly what: 'accept' | 'send'; readonly payload: Payload; readonly priority: number }
  | { readonly what: 'number' | 'drop' | 'void' | 'prune'; readonly at: number }
  | { readonly what: 'rx' | 'epoch'; readonly by: number }
  | { readonly what: 'begin' | 'write' | 'restart' }
  | { readonly what: 'end'; readonly requeue: boolean }

const payload: fc.Arbitrary<Payload> = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array(bytes)),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constantFrom('accept', 'send'), payload, priority: fc.integer() }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constantFrom('number', 'drop', 'void', 'prune'),
      at: fc.nat({ max: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constantFrom('rx', 'epoch'), by: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 5, arbitrary: fc.record({ what: fc.constantFrom('begin', 'write', 'restart') }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('end'), requeue: fc.boolean() }) },
)

/** The record as plain lists, and the writes that a step is. */
class Model {
  #session: { -readonly [K in keyof SessionRecord]: SessionRecord[K] } | undefined
  #waiting: Entry[] = []
  #seq = 0
  #sessions = 0

  get record(): OutboxRecord {
    return { session: this.#session && { ...this.#session }, waiting: [...this.#waiting] }
  }

  writes(one: Step): Write[] {
    const session = this.#session
    switch (one.what) {
      case 'accept': {
        const accepted = this.#make(one)
        this.#waiting.push(accepted)
        return [accept(accepted)]
      }
      case 'begin':
        this.#sessions += 1
        this.#session = { ...head(`s${this.#sessions}`), epoch: 0, rx: 0, done: [], acked: 0, messages: [] }
        return [begin(`s${this.#sessions}`)]
      case 'drop': {
        const [dropped] = this.#waiting.splice(one.at, 1)
        return dropped ? [drop(dropped.seq)] : []
      }
    }
    if (!session) return []
    const { sid } = session
    const last = session.acked + session.messages.length
    switch (one.what) {
      case 'send': {
        const sent = this.#make(one)
        session.messages = [...session.messages, sent]
        return [number(sid, last + 1, sent)]
      }
      case 'number': {
        const [numbered] = this.#waiting.splice(one.at, 1)
        if (!numbered) return []
        session.messages = [...session.messages, numbered]
        return [number(sid, last + 1, numbered)]
      }
      case 'void': {
        if (one.at >= session.messages.length) return []
        session.messages = session.messages.with(one.at, {
          ...(session.messages[one.at] as Entry),
          seq: 0,
          stream: TEXT,
          payload: '',
          bytes: 0,
        })
        return [empty(sid, session.acked + 1 + one.at)]
      }
      case 'prune':
        if (one.at >= session.messages.length) return []
        session.messages = session.messages.slice(one.at + 1)
        session.acked += one.at + 1
        return [prune(sid, session.acked)]
      case 'rx':
        session.rx += one.by
        return [rx(sid, session.rx)]
      case 'epoch':
        session.epoch += one.by
        return [epoch(sid, session.epoch)]
      case 'end':
        if (one.requeue) {
          const kept = session.messages.filter(({ seq }) => seq !== 0)
          const first = { priority: Number.MAX_SAFE_INTEGER, expiresAt: NEVER }
          this.#waiting = [...kept.map((message) => ({ ...message, ...first })), ...this.#waiting]
        }
        this.#session = undefined
        return [end(sid, one.requeue)]
      default:
        return []
    }
  }

  #make({ payload: content, priority }: { payload: Payload; priority: number }): Entry {
    this.#seq += 1
    return entry(this.#seq, content, { priority })
  }
}
