// npm run bench [-- section ...] [--quick] [--only id,id] [--gate] [--compare REV] [--no-build] [--seed N]
// Runs the sections named (all without a name), keeps their figures in results/, writes the report anew.

import { parseArgs } from 'node:util'
import { prepare } from './prepare.ts'
import { gatesTable, verdict } from './report/gates.ts'
import { keep, writeReport } from './report/report.ts'
import { loadSections, sectionNames } from './sections/registry.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    quick: { type: 'boolean', default: false },
    gate: { type: 'boolean', default: false },
    build: { type: 'boolean', default: true },
    only: { type: 'string', default: '' },
    compare: { type: 'string' },
    seed: { type: 'string', default: '20261124' },
  },
})

// `report` alone measures nothing and writes the report from the figures kept.
const unknown = positionals.filter((name) => name !== 'report' && !sectionNames.includes(name))
if (unknown.length) {
  console.error(`no such section: ${unknown.join(', ')}; there are ${sectionNames.join(', ')}, and report`)
  process.exit(2)
}
const wanted = positionals.length ? positionals : sectionNames

prepare({ build: values.build && wanted.some((name) => name !== 'report') })
const sections = await loadSections()
for (const section of sections) {
  if (!wanted.includes(section.name)) continue
  const started = performance.now()
  console.log(`\n${section.title}`)
  const data = await section.measure({
    quick: values.quick,
    only: values.only.split(',').filter(Boolean),
    seed: Number(values.seed),
    compare: values.compare,
    log: (line) => console.log(`  ${line}`),
  })
  keep(section.name, data, {
    quick: values.quick,
    seed: Number(values.seed),
    seconds: (performance.now() - started) / 1000,
  })
}
const gates = writeReport(sections)
console.log(`\n${gatesTable(gates)}\n\nbench/results/report.md`)
if (values.gate && gates.some((gate) => verdict(gate) === 'MISSED')) process.exitCode = 1
