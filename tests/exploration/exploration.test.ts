import { describe, expect, it } from 'vitest'
import { run } from './run.ts'
import { scenarios } from './scenarios.ts'

describe('in every interleaving of client, server, network and stores, all that must hold holds:', () => {
  it.concurrent.each(scenarios.map(({ name, about }) => [name, about] as const))('%s, %s', async (name) => {
    const { violation, trace, states, quiet } = await run(name)
    console.log(`${name}: ${states.toLocaleString('en')} states, ${quiet.toLocaleString('en')} at rest`)
    expect([violation, ...trace]).toEqual([''])
    expect(states).toBeGreaterThan(quiet)
    expect(quiet).toBeGreaterThan(0)
  })
})
