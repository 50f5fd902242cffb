// npm run explore [-- names of scenarios] [-- --deep] [-- --engine directory] [-- --json]

import { parseArgs } from 'node:util'
import { loadEngine } from './engine.ts'
import { scenarios } from './scenarios.ts'
import { explore } from './search.ts'
import { World } from './world.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    deep: { type: 'boolean', default: false },
    engine: { type: 'string' },
    json: { type: 'boolean', default: false },
    limit: { type: 'string', default: '30000000' },
  },
})
const engine = await loadEngine(values.engine)
const chosen = positionals.length > 0 ? scenarios.filter(({ name }) => positionals.includes(name)) : scenarios
for (const scenario of chosen) {
  const world = new World(engine, scenario)
  const report = explore(world, Number(values.limit))
  if (values.json) {
    console.log(JSON.stringify({ name: scenario.name, ...report }))
    continue
  }
  const { states, transitions, quiet, depth, seconds, violation, trace } = report
  const speed = Math.round(states / seconds)
  console.log(
    `${scenario.name}: ${states} states, ${transitions} steps, ${quiet} at rest, ${depth} deep, ${seconds.toFixed(1)} s, ${speed}/s`,
  )
  console.log(`  ${scenario.about}  ${JSON.stringify(scenario.budget)} ${JSON.stringify(world.sizes)}`)
  if (violation) {
    console.log(`  VIOLATION: ${violation}`)
    for (const [index, line] of trace.entries()) console.log(`  ${index + 1}. ${line}`)
    process.exitCode = 1
  }
}
