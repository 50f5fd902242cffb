import { describe, expect, it } from 'vitest'
import type { SessionWrite, Write } from './store.ts'
import { newWriter, StoreWriter, type Written } from './storeWriter.ts'

const drop = (seq: number): Write => ({ kind: 'drop', seq })

/** A store whose writes settle when the test says so, and what a writer tells of them. */
class Setup {
  readonly batches: (readonly SessionWrite[])[] = []
  readonly stored: SessionWrite[] = []
  readonly heard: unknown[] = []
  readonly scheduled: boolean[] = []
  settle: { resolve(result: unknown): void; reject(error: unknown): void } | undefined
  readonly writer: StoreWriter
  onStored = (_: SessionWrite) => {}

  constructor(write?: (writes: readonly SessionWrite[]) => Written) {
    this.writer = new StoreWriter(newWriter(3), {
      schedule: (writer, late) => {
        this.scheduled.push(late)
        if (!late) queueMicrotask(() => writer.flush())
      },
      write: (writes, held) => {
        this.batches.push(writes)
        expect(held).toBeGreaterThanOrEqual(3)
        if (write) return write(writes)
        const { promise, resolve, reject } = Promise.withResolvers<unknown>()
        this.settle = { resolve, reject }
        return promise
      },
      onStored: (written) => {
        this.stored.push(written)
        this.onStored(written)
      },
      onStale: () => void this.heard.push(['stale', this.writer.unrecorded.map(({ seq }) => seq)]),
      onFailed: (error) => void this.heard.push(error),
      onIdle: () => void this.heard.push('idle'),
    })
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const entry = (seq: number) => ({ seq, stream: -1, payload: 'x', bytes: 1, priority: 0, expiresAt: -1 })

describe('the writer of a store', () => {
  it('gathers the writes of one turn into one call and tells of each in order', async () => {
    const setup = new Setup(() => undefined)
    for (let seq = 1; seq <= 5; seq += 1) setup.writer.push(drop(seq))
    expect(setup.batches).toEqual([])
    await setup.writer.whenIdle()
    expect(setup.batches).toEqual([[1, 2, 3, 4, 5].map(drop)])
    expect(setup.stored).toEqual([1, 2, 3, 4, 5].map(drop))
    expect(setup.heard).toEqual(['idle'])
  })

  it('hears of a store that records at once within a microtask', async () => {
    const setup = new Setup(() => 'stored')
    setup.writer.push(drop(1))
    await Promise.resolve()
    expect(setup.stored).toEqual([drop(1)])
  })

  it('never has two calls under way; what comes meanwhile goes together in the next', async () => {
    const setup = new Setup()
    setup.writer.push(drop(1))
    await turn()
    setup.writer.push(drop(2))
    await turn()
    setup.writer.push(drop(3))
    setup.writer.flush()
    expect(setup.batches).toEqual([[drop(1)]])
    expect(setup.stored).toEqual([])
    setup.settle?.resolve('stored')
    await turn()
    expect(setup.stored).toEqual([drop(1)])
    expect(setup.batches).toEqual([[drop(1)], [drop(2), drop(3)]])
    setup.settle?.resolve(undefined)
    await setup.writer.whenIdle()
    expect(setup.stored).toEqual([1, 2, 3].map(drop))
  })

  it('records what is pushed while it tells', async () => {
    const setup = new Setup(() => 'stored')
    setup.onStored = (write) => {
      if (write.kind === 'drop' && write.seq < 3) setup.writer.push(drop(write.seq + 1))
    }
    setup.writer.push(drop(1))
    await setup.writer.whenIdle()
    expect(setup.batches).toEqual([[drop(1)], [drop(2)], [drop(3)]])
  })

  it('writes the latest prune only, and at leisure, before what else there is', async () => {
    const setup = new Setup(() => 'stored')
    const prune = (acked: number): Write => ({ kind: 'prune', sid: 's', acked })
    for (const acked of [1, 2, 3]) setup.writer.push(prune(acked))
    await turn()
    expect(setup.scheduled).toEqual([true])
    expect(setup.batches).toEqual([])
    setup.writer.push(drop(1))
    await turn()
    expect(setup.batches).toEqual([[prune(3), drop(1)]])
  })

  it('holds a new epoch once that is recorded', async () => {
    const setup = new Setup()
    setup.writer.push({ kind: 'epoch', sid: 's', epoch: 4 })
    setup.writer.flush()
    expect(setup.writer.state.held).toBe(3)
    setup.settle?.resolve('stored')
    await turn()
    expect(setup.writer.state.held).toBe(4)
  })

  it.each(['rejects', 'throws'])(
    'a store that %s: nothing of the batch, nor what was to follow, is recorded',
    async (how) => {
      const full = new Error('no room')
      const setup = new Setup(
        how === 'throws'
          ? () => {
              throw full
            }
          : undefined,
      )
      setup.writer.push(drop(1))
      if (how === 'rejects') {
        await turn()
        setup.writer.push(drop(2))
        setup.settle?.reject(full)
      }
      await setup.writer.whenIdle()
      expect(setup.heard).toEqual([full, 'idle'])
      expect(setup.stored).toEqual([])
      expect(setup.batches).toHaveLength(1)
    },
  )

  it('is told of another owner: what it had not recorded is in doubt, and it writes no more', async () => {
    const setup = new Setup()
    setup.writer.push({ kind: 'accept', entry: entry(1) })
    setup.writer.push({ kind: 'accept', entry: entry(2) })
    setup.writer.push(drop(1))
    await turn()
    setup.writer.push({ kind: 'accept', entry: entry(3) })
    setup.settle?.resolve('stale')
    await turn()
    setup.writer.push(drop(9))
    await turn()
    expect(setup.heard).toEqual([['stale', [2, 3]], 'idle'])
    expect(setup.batches).toHaveLength(1)
  })

  it('finishes with what was pushed before', async () => {
    const setup = new Setup()
    setup.writer.push(drop(1))
    const finished = setup.writer.finish()
    setup.writer.push(drop(2))
    let done = false
    void finished.then(() => {
      done = true
    })
    await turn()
    expect(done).toBe(false)
    setup.settle?.resolve('stored')
    await finished
    expect(setup.batches).toEqual([[drop(1)]])
    expect(setup.stored).toEqual([drop(1)])
  })

  it('is idle when it has nothing to do', async () => {
    const setup = new Setup()
    await setup.writer.whenIdle()
    await setup.writer.finish()
    expect(setup.batches).toEqual([])
  })
})
