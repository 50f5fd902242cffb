// `npm run attack`: every attack on every server, on loopback only, each for a few seconds, and a line of what came of it.
// `npm run attack -- --only WORDS --target KIND --connections N --ms N` narrows it down.

import { parseArgs } from 'node:util'
import { canRunFastApi } from '../faults/python.ts'
import { attacks } from './attacks.ts'
import { attack, quantile, type Report } from './run.ts'
import { Target, type TargetKind } from './Target.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    target: { type: 'string', default: '' },
    connections: { type: 'string', default: '1000' },
    ms: { type: 'string', default: '4000' },
    seed: { type: 'string', default: '1' },
  },
})
const scale = {
  connections: Number(values.connections),
  ms: Number(values.ms),
  brokenFrames: 4000,
  brokenUpgrades: 500,
  seed: Number(values.seed),
}
const MIB = 2 ** 20
const kinds: readonly TargetKind[] = ['createBackend', 'SessionServer', 'FastAPI']
const chosen = kinds.filter(
  (kind) =>
    kind.toLowerCase().includes(values.target.toLowerCase()) &&
    (kind !== 'FastAPI' || canRunFastApi('attacks on FastAPI')),
)

console.log(`${scale.connections} connections of one address, ${scale.ms} ms each, seed ${scale.seed}`)
console.log(
  '  memory above idle | longest delay of its loop | the bystander: health p50 / p99, served, missed | attackers closed\n',
)
let failed = false
for (const kind of chosen) {
  for (const one of attacks) {
    if (!one.name.includes(values.only) || (one.targets && !one.targets.includes(kind))) continue
    // Each on a fresh one: what the one before left in memory is not its affair.
    const target = await Target.start(kind)
    try {
      const report = await attack(target, one, scale)
      failed ||= !report.alive || report.missed > 0
      console.log(lineOf(report))
    } finally {
      await target.end()
    }
  }
}
process.exit(failed ? 1 : 0)

function lineOf(report: Report): string {
  const { target, attack: name, alive, grownBytes, delayMs, healthMs, answers, opened, missed } = report
  const figures = [
    `${(grownBytes / MIB).toFixed(0)} MiB`,
    target === 'FastAPI' ? '-' : `${delayMs.toFixed(0)} ms`,
    `${quantile(healthMs, 0.5).toFixed(0)} / ${quantile(healthMs, 0.99).toFixed(0)} ms, ${healthMs.length + answers + opened}, ${missed}`,
    `${report.closed} of ${report.attackers}`,
  ]
  return `${alive ? 'lives' : 'DEAD '}  ${target}: ${name}\n       ${figures.join(' | ')}`
}
