// How long the detectors take: on ordinary text by its length, and on texts made to be slow to read.

import process from 'node:process'
import { InputValidator } from '../src/security/InputValidator.ts'
import { families } from './adversarialFamilies.ts'
import { BOTH, print } from './evalValidatorSets.ts'

/** Every detector that reads for an interpreter. */
const ALL = { ...BOTH, noCommandInjection: true }

const validator = new InputValidator()

/** Milliseconds of the fastest of some runs: the one that nothing else on the machine disturbed. */
function fastest(text: string, runs: number): number {
  let best = Infinity
  for (let run = 0; run < runs; run++) {
    const start = performance.now()
    validator.check(text, BOTH)
    best = Math.min(best, performance.now() - start)
  }
  return best
}

/** The same in milliseconds of the processor: for runs long enough to be interrupted by what else the machine does. */
function cheapest(text: string, runs: number): number {
  let best = Infinity
  for (let run = 0; run < runs; run++) {
    const start = process.cpuUsage()
    validator.check(text, ALL)
    const { user, system } = process.cpuUsage(start)
    best = Math.min(best, (user + system) / 1000)
  }
  return best
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? 0
}

/** Prints how long a check takes, by length and over hostile families. */
export function measureTime(ordinary: readonly string[]): void {
  console.log('time, both rules')
  for (const length of [200, 10_000]) {
    const texts: string[] = []
    let text = ''
    for (const piece of [...ordinary, ...ordinary]) {
      text += `${piece}\n`
      if (text.length < length) continue
      texts.push(text.slice(0, length))
      text = ''
    }
    for (const piece of texts) fastest(piece, 20) // warm
    print(
      `median at ${length} characters`,
      `${(1000 * median(texts.map((piece) => fastest(piece, 20)))).toFixed(1)} µs`,
    )
  }
  const times = families.map(({ name, make }) => {
    const short = cheapest(make(10_000), 5)
    const long = cheapest(make(100_000), 2)
    return { name, 10000: short, 100000: long, growth: long / short }
  })
  function worst(key: 10_000 | 100_000 | 'growth', among = times): string {
    const first = among.toSorted((a, b) => b[key] - a[key]).slice(0, 5)
    return first.map((time) => `${time.name} ${time[key].toFixed(2)}`).join(', ')
  }
  for (const length of [10_000, 100_000] as const) {
    print(`all three, worst families at ${length}`, `${worst(length)} ms (of ${families.length})`)
  }
  // Below a fifth of a millisecond it is the clock that is measured.
  print(
    'steepest, ten times the input',
    `${worst(
      'growth',
      times.filter((time) => time[10_000] > 0.2),
    )} times the time`,
  )
}
