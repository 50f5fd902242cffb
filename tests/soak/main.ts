// npm run soak                              50 clients, 600 s
// npm run soak -- --short                   10 clients, 20 s
// npm run soak -- --clients 20 --seconds 60 --seed 7
// Ends with status 1 when anything was lost, doubled or out of order. The seed makes the same draws; what they meet is up to the
// machine.

import { parseArgs } from 'node:util'
import { seededRandom } from '../../src/testing/seededRandom.ts'
import { soak } from './Soak.ts'

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    clients: { type: 'string' },
    seconds: { type: 'string' },
    seed: { type: 'string' },
  },
})
const count = (name: 'clients' | 'seconds' | 'seed', otherwise: number): number => {
  const value = Number(values[name] ?? otherwise)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`--${name}: a whole number above 0, got ${values[name]}`)
}
const clients = count('clients', values.short ? 10 : 50)
const seconds = count('seconds', values.short ? 20 : 600)
const seed = count('seed', 1 + Math.floor(Math.random() * 1e9))

console.log(
  `${clients} clients, ${seconds} s; again: npm run soak -- --clients ${clients} --seconds ${seconds} --seed ${seed}`,
)
const { violations, ...figures } = await soak({
  clients,
  seconds,
  random: seededRandom(seed),
  log: (line) => console.log(line),
})
console.log(JSON.stringify(figures, undefined, 2))
for (const violation of violations.slice(0, 50)) console.error(violation)
console.log(
  violations.length === 0 ? 'nothing lost, doubled or out of order' : `${violations.length} violations`,
)
process.exitCode = violations.length === 0 ? 0 : 1
