import { describe, expect, it } from 'vitest'
import { OutboxWriter } from './outboxWriter.ts'
import type { OutboxStore, Write } from './store.ts'

const drop = (seq: number): Write => ({ kind: 'drop', seq })

/** A store whose writes settle when the test says so, and what a writer tells of them. */
class Setup {
  readonly batches: (readonly Write[])[] = []
  readonly stored: Write[] = []
  readonly failures: { error: unknown; unrecorded: readonly Write[] }[] = []
  closed = 0
  settle: { resolve(): void; reject(error: unknown): void } | undefined
  readonly writer: OutboxWriter
  onStored = (_: Write) => {}

  constructor(write?: (writes: readonly Write[]) => void | Promise<void>) {
    const store: OutboxStore = {
      load: () => ({ session: undefined, waiting: [] }),
      write: (writes) => {
        this.batches.push(writes)
        if (write) return write(writes)
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        this.settle = { resolve, reject }
        return promise
      },
      destroy: () => {},
      close: () => {
        this.closed += 1
      },
    }
    this.writer = new OutboxWriter(store, {
      onStored: (written) => {
        this.stored.push(written)
        this.onStored(written)
      },
      onFailed: (error, unrecorded) => void this.failures.push({ error, unrecorded }),
    })
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('the writer of an outbox', () => {
  it('gathers the writes of one turn into one call and tells of each in order', async () => {
    const setup = new Setup(() => {})
    for (let seq = 1; seq <= 5; seq += 1) setup.writer.push(drop(seq))
    expect(setup.batches).toEqual([])
    await setup.writer.idle
    expect(setup.batches).toEqual([[1, 2, 3, 4, 5].map(drop)])
    expect(setup.stored).toEqual([1, 2, 3, 4, 5].map(drop))
  })

  it('hears of a store that records at once within a microtask', async () => {
    const setup = new Setup(() => {})
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
    await turn()
    expect(setup.batches).toEqual([[drop(1)]])
    expect(setup.stored).toEqual([])
    setup.settle?.resolve()
    await turn()
    expect(setup.stored).toEqual([drop(1)])
    expect(setup.batches).toEqual([[drop(1)], [drop(2), drop(3)]])
    setup.settle?.resolve()
    await setup.writer.idle
    expect(setup.stored).toEqual([1, 2, 3].map(drop))
  })

  it('records what is pushed while it tells', async () => {
    const setup = new Setup(() => {})
    setup.onStored = (write) => {
      if (write.kind === 'drop' && write.seq < 3) setup.writer.push(drop(write.seq + 1))
    }
    setup.writer.push(drop(1))
    await setup.writer.idle
    expect(setup.batches).toEqual([[drop(1)], [drop(2)], [drop(3)]])
  })

  it('tells a failure once, with all that is not recorded, and records nothing after it', async () => {
    const setup = new Setup()
    const full = new Error('no room')
    setup.writer.push(drop(1))
    await turn()
    setup.writer.push(drop(2))
    setup.settle?.reject(full)
    await setup.writer.idle
    expect(setup.failures).toEqual([{ error: full, unrecorded: [drop(1), drop(2)] }])
    setup.writer.push(drop(3))
    await turn()
    expect(setup.batches).toHaveLength(1)
    expect(setup.stored).toEqual([])
    expect(setup.failures).toHaveLength(1)
  })

  it('takes a store that throws for one that rejects', async () => {
    const setup = new Setup(() => {
      throw new Error('no room')
    })
    setup.writer.push(drop(1))
    await setup.writer.idle
    expect(setup.failures).toMatchObject([{ unrecorded: [drop(1)] }])
  })

  it('records what was pushed before it gives the outbox back', async () => {
    const setup = new Setup()
    setup.writer.push(drop(1))
    const closed = setup.writer.close()
    expect(setup.writer.close()).toBe(closed)
    setup.writer.push(drop(2))
    await turn()
    expect(setup.closed).toBe(0)
    setup.settle?.resolve()
    await closed
    expect(setup.batches).toEqual([[drop(1)]])
    expect(setup.stored).toEqual([drop(1)])
    expect(setup.closed).toBe(1)
  })

  it('closes an outbox that had failed', async () => {
    const setup = new Setup(() => {
      throw new Error('no room')
    })
    setup.writer.push(drop(1))
    await setup.writer.close()
    expect(setup.failures).toHaveLength(1)
    expect(setup.closed).toBe(1)
  })

  it('is idle when it has nothing to do', async () => {
    const setup = new Setup()
    await setup.writer.idle
    await setup.writer.close()
    expect(setup.batches).toEqual([])
  })
})
