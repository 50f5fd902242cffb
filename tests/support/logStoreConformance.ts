// What every store of logs has to do, whatever it keeps them in.

import type { LogHead, LogRecord, LogStore } from 'guru-comms/server'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function someHead(path: string, changes: Partial<LogHead> = {}): LogHead {
  return {
    path,
    id: `id of ${path}`,
    owner: 'ada',
    audience: 'owner',
    local: false,
    contentType: 'text/plain',
    tail: 0,
    bytes: 0,
    state: 'running',
    closed: false,
    closedBy: undefined,
    lastSeq: undefined,
    producers: {},
    ttlSeconds: undefined,
    expiresAt: undefined,
    expiresAtText: undefined,
    usedAt: 0,
    leaseUntil: undefined,
    forkedFrom: undefined,
    forks: 0,
    removed: false,
    ...changes,
  }
}

function record(position: number, text: string, units = text.length): LogRecord {
  return { position, units, data: encoder.encode(text) }
}

const texts = (records: readonly LogRecord[]) => records.map(({ data }) => decoder.decode(data))

export function logStoreConformance(name: string, makeStore: () => LogStore): void {
  describe(name, () => {
    let store: LogStore
    const put = (head: LogHead, ...records: LogRecord[]) =>
      store.transact([head.path], () => ({
        result: undefined,
        writes: [
          { kind: 'put', head },
          ...records.map((one) => ({ kind: 'append', path: head.path, record: one }) as const),
        ],
      }))
    const head = (path: string) => store.transact([path], ([found]) => ({ result: found, writes: [] }))

    beforeEach(() => {
      store = makeStore()
    })
    afterEach(() => store.close())

    it('gives a step the heads it asked for, in order, and `undefined` for those there are not', async () => {
      const one = someHead('/one', { producers: { worker: { epoch: 1, seq: 2, at: 3 } } })
      await put(one)
      const seen = await store.transact(['/none', '/one'], (heads) => ({ result: heads, writes: [] }))
      expect(seen).toEqual([undefined, one])
    })

    it('records all that a step says, or nothing where it throws', async () => {
      await put(someHead('/one'))
      const failed = async () =>
        await store.transact(['/one'], () => {
          throw new Error('no')
        })
      await expect(failed()).rejects.toThrow('no')
      expect(await head('/one')).toEqual(someHead('/one'))
    })

    it('runs steps one after the other', async () => {
      await put(someHead('/one'))
      await Promise.all(
        Array.from({ length: 20 }, () =>
          store.transact(['/one'], ([found]) => ({
            result: undefined,
            writes: [{ kind: 'put', head: { ...(found as LogHead), forks: (found?.forks ?? 0) + 1 } }],
          })),
        ),
      )
      expect((await head('/one'))?.forks).toBe(20)
    })

    it('reads from the record that holds a position, up to a size, and at least one', async () => {
      await put(someHead('/one'), record(0, 'abc'), record(3, 'de'), record(5, 'fgh'))
      expect(texts(await store.read('/one', 0, 100))).toEqual(['abc', 'de', 'fgh'])
      expect(texts(await store.read('/one', 2, 100))).toEqual(['abc', 'de', 'fgh'])
      expect(texts(await store.read('/one', 3, 1))).toEqual(['de'])
      expect(texts(await store.read('/one', 4, 3))).toEqual(['de', 'fgh'])
      expect(await store.read('/one', 8, 100)).toEqual([])
      expect(await store.read('/none', 0, 100)).toEqual([])
    })

    it('copies what stands before a position, and cuts the record that crosses it', async () => {
      await put(someHead('/bytes'), record(0, 'abc'), record(3, 'def'))
      const messages = someHead('/json', { contentType: 'application/json' })
      await put(messages, record(0, '{"a":1}', 1), record(1, '[1,2]\n"x"\n3', 3))
      await store.transact([], () => ({
        result: undefined,
        writes: [
          { kind: 'copy', from: '/bytes', to: '/bytes2', until: 4 },
          { kind: 'copy', from: '/json', to: '/json2', until: 3 },
        ],
      }))
      expect(texts(await store.read('/bytes2', 0, 100))).toEqual(['abc', 'd'])
      const copied = await store.read('/json2', 0, 100)
      expect(texts(copied)).toEqual(['{"a":1}', '[1,2]\n"x"'])
      expect(copied.map(({ units }) => units)).toEqual([1, 2])
    })

    it('forgets records alone, or the head as well', async () => {
      await put(someHead('/one'), record(0, 'abc'))
      await put(someHead('/other'), record(0, 'xyz'))
      await store.transact([], () => ({ result: 0, writes: [{ kind: 'remove', path: '/one', head: false }] }))
      expect(await store.read('/one', 0, 100)).toEqual([])
      expect(await head('/one')).toBeDefined()
      await store.transact([], () => ({ result: 0, writes: [{ kind: 'remove', path: '/one', head: true }] }))
      expect(await head('/one')).toBeUndefined()
      const left: string[] = []
      for await (const { path } of store.list()) left.push(path)
      expect(left).toEqual(['/other'])
    })
  })
}
