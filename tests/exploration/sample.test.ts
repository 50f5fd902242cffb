// That exploring works and finds what is wrong, in seconds. All of it: `npm run test:long`, or `npm run explore`.

import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { expect, it } from 'vitest'
import { mutated, mutations } from './mutations.ts'
import { run } from './run.ts'

it.each(['memory', 'window', 'newSession', 'goAway', 'close', 'stranger'])(
  'in every interleaving of scenario "%s" all that must hold holds',
  async (name) => {
    const { violation, trace, states, quiet } = await run(name)
    expect([violation, ...trace]).toEqual([''])
    expect(states).toBeGreaterThan(quiet)
    expect(quiet).toBeGreaterThan(0)
  },
)

it.each(mutations.filter((_, index) => index % 8 === 0))('finds an engine that $name', async (mutation) => {
  const directory = await mutated(mutation.edits)
  const { violation } = await run(mutation.scenario, directory)
  await rm(dirname(directory), { recursive: true })
  expect(violation).not.toBe('')
})
