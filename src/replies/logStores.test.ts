import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { logStoreConformance, someHead } from '../../tests/support/logStoreConformance.ts'
import { sqliteLogStore } from '../storage/sqlite/SqliteLogStore.ts'
import { MemoryLogStore } from './MemoryLogStore.ts'

const folder = mkdtempSync(join(tmpdir(), 'guru-logs-'))
afterAll(() => rmSync(folder, { recursive: true }))

logStoreConformance('logs in memory', () => new MemoryLogStore())
logStoreConformance('logs in SQLite', () => sqliteLogStore({ file: ':memory:' }))

describe('logs in a file', () => {
  it('are there for the next process', () => {
    const file = join(folder, 'next.db')
    const head = someHead('/one', { tail: 3 })
    const before = sqliteLogStore({ file })
    before.transact([], () => ({ result: 0, writes: [{ kind: 'put', head }] }))
    before.close()
    const after = sqliteLogStore({ file })
    expect(after.transact(['/one'], ([found]) => ({ result: found, writes: [] }))).toEqual(head)
    after.close()
  })

  it('tell one process that another has written', async () => {
    const file = join(folder, 'two.db')
    const one = sqliteLogStore({ file, pollInterval: 5 })
    const other = sqliteLogStore({ file })
    const listener = vi.fn()
    const end = one.watch?.(listener)
    other.transact([], () => ({ result: 0, writes: [{ kind: 'put', head: someHead('/one') }] }))
    await vi.waitFor(() => expect(listener).toHaveBeenCalledWith(undefined), { timeout: 60_000 })
    end?.()
    one.close()
    other.close()
  })

  it('say what is wrong with a file that is no database, and with options that are none', () => {
    const file = join(folder, 'no.db')
    writeFileSync(file, 'this is a letter, and no database at all'.repeat(100))
    expect(() => sqliteLogStore({ file })).toThrow(
      expect.objectContaining({ code: 'STORAGE', reason: 'corrupt' }),
    )
    expect(() => sqliteLogStore({ file: '' })).toThrow(/"file"/)
    expect(() => sqliteLogStore({ file, fil: 1 } as never)).toThrow(/fil/)
  })
})
