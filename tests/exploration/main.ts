// npm run explore [-- names of scenarios] [-- --deep] [-- --engine directory] [-- --json] [-- --limit states]

import { parseArgs } from 'node:util'
import { loadEngine } from './engine.ts'
import type { Scenario } from './scenario.ts'
import { brokenScenarios, deepScenarios, scenarios } from './scenarios.ts'
import { explore, type Report } from './search.ts'
import { World } from './world.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** What takes hours. */
    deep: { type: 'boolean', default: false },
    /** A directory with another src/session. */
    engine: { type: 'string' },
    /** One line of JSON for each scenario. */
    json: { type: 'boolean', default: false },
    /** More states are an error. */
    limit: { type: 'string', default: '30000000' },
  },
})

const engine = await loadEngine(values.engine)
const known = [...scenarios, ...deepScenarios, ...brokenScenarios]
for (const name of positionals)
  if (!known.some((one) => one.name === name)) throw new Error(`there is no scenario "${name}"`)
const chosen =
  positionals.length > 0
    ? known.filter(({ name }) => positionals.includes(name))
    : values.deep
      ? deepScenarios
      : scenarios

let states = 0
for (const scenario of chosen) {
  const report = explore(new World(engine, scenario), Number(values.limit))
  states += report.states
  if (values.json) console.log(JSON.stringify({ name: scenario.name, ...report }))
  else print(scenario, report)
  if (report.violation !== '') process.exitCode = 1
}
if (!values.json) console.log(`${chosen.length} scenarios, ${states.toLocaleString('en')} states`)

function print({ name, about, budget }: Scenario, report: Report): void {
  const { violation, trace } = report
  const bounds = Object.entries(budget).map(([what, times]) => `${what} ${times}`)
  const speed = Math.round(report.states / report.seconds).toLocaleString('en')
  console.log(`${name}: ${about} (${bounds.join(', ')})`)
  console.log(
    `  ${report.states.toLocaleString('en')} states, ${report.transitions.toLocaleString('en')} steps, ` +
      `${report.quiet.toLocaleString('en')} at rest, ${report.depth} deep; ` +
      `${report.seconds.toFixed(1)} s of processor time, ${speed} states/s`,
  )
  if (violation === '') return
  console.log(`  VIOLATION: ${violation}`)
  for (const [index, line] of trace.entries()) console.log(`  ${index + 1}. ${line}`)
}
