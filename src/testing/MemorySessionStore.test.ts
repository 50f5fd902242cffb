import { describe, expect, it } from 'vitest'
import { begin } from '../../tests/support/outboxConformance.ts'
import { describeSessionStore } from '../../tests/support/sessionStoreConformance.ts'
import { MemorySessionDisk } from './MemorySessionStore.ts'

// The model itself is run by the others.
describeSessionStore('sessions in memory', {
  makePlace: () => {
    const disk = new MemorySessionDisk()
    return { open: () => disk.store(), remove: () => {} }
  },
  runs: 20,
  transact: {
    record: (effects, value) => void (effects as string[]).push(value),
    recorded: (effects) => [...(effects as string[])],
  },
})

describe('a made-up disk', () => {
  it('holds back and fails as a test wishes', async () => {
    const store = new MemorySessionDisk().store()
    store.hold()
    const written = store.write('a', 0, [begin('a')])
    const found = store.find('a')
    store.release()
    expect(await written).toBe('stored')
    expect(await found).toBeDefined()
    store.fail(new Error('no disk'))
    await expect(store.find('a')).rejects.toThrow('no disk')
    store.fail(undefined)
    expect(await store.find('a')).toBeDefined()
  })
})
