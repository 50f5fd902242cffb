import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mutated, mutations } from './mutations.ts'
import { run } from './run.ts'

describe('exploring finds an engine that', () => {
  it.each(mutations)('$name', async ({ scenario, edits }) => {
    const directory = await mutated(edits)
    const { violation, trace } = await run(scenario, directory)
    await rm(dirname(directory), { recursive: true })
    expect(violation).not.toBe('')
    expect(trace).not.toEqual([])
  })

  it('finds a store that takes the writes of a node whose lease has run out', async () => {
    const { violation, trace } = await run('leaseUnfenced')
    expect(violation).not.toBe('')
    expect(trace).not.toEqual([])
  })

  it('finds nothing in a copy that nobody has touched', async () => {
    const directory = await mutated([])
    const { violation, states } = await run('memory', directory)
    await rm(dirname(directory), { recursive: true })
    expect(violation).toBe('')
    expect(states).toBeGreaterThan(1000)
  })
})
