import { describe, expect, it } from 'vitest'
import { accept, begin, describeOutbox, entry } from '../../tests/support/outboxConformance.ts'
import { MemoryDisk } from './MemoryOutbox.ts'
import { VirtualClock } from './VirtualClock.ts'

const transact = {
  record: (effects: unknown, value: string) => void (effects as string[]).push(value),
  recorded: (effects: unknown) => [...(effects as string[])],
}

describeOutbox('an outbox in memory', {
  makePlace: () => {
    const disk = new MemoryDisk()
    return { open: () => disk.outbox(), remove: () => {} }
  },
  runs: 300,
  many: 100_000,
  transact,
})

describe('a made-up disk', () => {
  it('survives the death of its owner; what was under way is lost', async () => {
    const disk = new MemoryDisk()
    const outbox = disk.outbox({ recording: 'held' })
    outbox.load()
    const first = outbox.write([accept(entry(1))])
    outbox.release()
    await first
    outbox.write([accept(entry(2))])
    expect(outbox.held).toBe(1)
    disk.kill()
    expect(() => outbox.write([accept(entry(3))])).toThrow(expect.objectContaining({ reason: 'closed' }))
    const next = disk.outbox()
    expect(next.load().waiting).toEqual([entry(1)])
  })

  it('may have recorded what was under way, although nobody was told', () => {
    const disk = new MemoryDisk()
    const outbox = disk.outbox({ recording: 'held' })
    outbox.load()
    outbox.write([accept(entry(1))])
    outbox.write([accept(entry(2))])
    disk.kill(1)
    expect(disk.record.waiting).toEqual([entry(1)])
  })

  it('fails the writes it is told to, whoever makes them', async () => {
    const disk = new MemoryDisk()
    const outbox = disk.outbox({ failWrites: [2] })
    outbox.load()
    outbox.write([accept(entry(1))])
    expect(() => outbox.write([accept(entry(2))])).toThrow(expect.objectContaining({ reason: 'full' }))
    outbox.close()
    const held = disk.outbox({ recording: 'held', failWrites: [3] })
    held.load()
    const failed = held.write([begin('a')])
    held.release()
    await expect(failed).rejects.toMatchObject({ reason: 'full' })
    expect(disk.record).toEqual({ session: undefined, waiting: [entry(1)] })
  })

  it('takes its time by a clock', async () => {
    const clock = new VirtualClock()
    const disk = new MemoryDisk()
    const outbox = disk.outbox({ recording: { clock, delayMs: 10 } })
    outbox.load()
    outbox.write([accept(entry(1))])
    await clock.advance(9)
    expect(disk.record.waiting).toEqual([])
    await clock.advance(1)
    expect(disk.record.waiting).toEqual([entry(1)])
  })
})
