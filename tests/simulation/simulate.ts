// Runs simulated worlds, one seed after the other, and stops at the first that breaks a promise.
//   npm run simulate -- --runs 20000 --seed 1        npm run simulate -- --seed 4711 --log
//   npm run simulate -- --fleet: three server nodes on one engine

import { parseArgs } from 'node:util'
import { FleetWorld } from './fleetWorld.ts'
import { World } from './world.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    log: { type: 'boolean', default: false },
    fleet: { type: 'boolean', default: false },
  },
})
const first = Number(values.seed)
const runs = values.log ? 1 : Number(values.runs)
if (values.fleet) {
  await liveFleets()
  process.exit()
}
const sum = { messages: 0, cuts: 0, deaths: 0, lostSessions: 0, inDoubt: 0, again: 0 }
const began = performance.now()
for (let seed = first; seed < first + runs; seed += 1) {
  const world = new World(seed, values.log ? (line) => console.log(line) : undefined)
  const report = await world.run()
  sum.messages += report.up.accepted + report.down.accepted
  sum.cuts += report.cuts
  sum.deaths += report.deaths
  sum.lostSessions += report.lostSessions
  sum.inDoubt += report.up.inDoubt + report.down.inDoubt
  sum.again += report.up.doubled + report.down.doubled
  if (report.violations.length > 0) {
    console.log(`seed ${seed} broke a promise (npm run simulate -- --seed ${seed} --log shows its life):`)
    for (const violation of report.violations) console.log(`  ${violation}`)
    console.log(report.kind)
    process.exitCode = 1
    break
  }
  if ((seed - first + 1) % 10_000 === 0) console.log(`${seed - first + 1} runs`)
}
const seconds = ((performance.now() - began) / 1000).toFixed(0)
if (process.exitCode !== 1)
  console.log(`${runs} runs from seed ${first}, ${seconds} s: no promise was broken`)
console.log(
  `${sum.messages} messages, ${sum.cuts} cuts, ${sum.deaths} deaths, ${sum.lostSessions} sessions lost; ${sum.inDoubt} messages reported in doubt, ${sum.again} handled again: after a death, or because they were to be resent`,
)

/** The same for fleets. */
async function liveFleets(): Promise<void> {
  const all = { messages: 0, takeovers: 0, deaths: 0, freezes: 0, lapses: 0, inDoubt: 0, again: 0 }
  for (let seed = first; seed < first + runs; seed += 1) {
    const { violations, ...report } = await new FleetWorld(
      seed,
      values.log ? (line) => console.log(line) : undefined,
    ).run()
    for (const name of Object.keys(all) as (keyof typeof all)[]) all[name] += report[name]
    if (violations.length === 0) continue
    console.log(
      `fleet ${seed} broke a promise (npm run simulate -- --fleet --seed ${seed} --log shows its life):`,
    )
    for (const violation of violations) console.log(`  ${violation}`)
    process.exitCode = 1
    break
  }
  console.log(`${runs} fleets from seed ${first}: ${JSON.stringify(all)}`)
}
