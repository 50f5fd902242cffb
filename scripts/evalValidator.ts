// Measures InputValidator against a folder of labelled texts: `npm run eval:validator -- DIR`.
// DIR holds xss.jsonl, sqli.jsonl and benign.jsonl, one {text, cat, tier, source} a line.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { InputValidator, ValidationError } from '../src/security/InputValidator.ts'
import { families } from './adversarialFamilies.ts'

interface Sample {
  readonly text: string
  readonly cat: string
  readonly tier: string
  readonly source: string
}

const XSS = { noXss: true } as const
const SQL = { noSqlInjection: true } as const
const BOTH = { noXss: true, noSqlInjection: true } as const
const PROSE = /prompt|chat|math|multilingual|prose|shell-nl/

const directory = process.argv[2]
if (directory === undefined) {
  console.error('usage: npm run eval:validator -- DIR   (holding xss.jsonl, sqli.jsonl, benign.jsonl)')
  process.exit(2)
}
const validator = new InputValidator()

function load(name: string): Sample[] {
  const lines = readFileSync(join(directory as string, `${name}.jsonl`), 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Sample)
}

function flagged(text: string, options: object): boolean {
  try {
    validator.validateString(text, options)
    return false
  } catch (error) {
    if (error instanceof ValidationError) return true
    throw error
  }
}

function percent(part: number, whole: number): string {
  return `${whole === 0 ? '   -' : `${((100 * part) / whole).toFixed(2)} %`} (${part} of ${whole})`
}

const print = (label: string, value: string): void => console.log(`  ${label.padEnd(34)} ${value}`)

for (const [name, options] of [
  ['xss', XSS],
  ['sqli', SQL],
] as const) {
  const samples = load(name).map((sample) => ({ ...sample, hit: flagged(sample.text, options) }))
  console.log(`${name}: recall`)
  for (const tier of [...new Set(samples.map((sample) => sample.tier))].sort()) {
    const all = samples.filter((sample) => sample.tier === tier)
    const own = all.filter((sample) => !/(?:^|<)LI\b/.test(sample.source))
    print(tier, percent(all.filter(({ hit }) => hit).length, all.length))
    print(`${tier}, without LI`, percent(own.filter(({ hit }) => hit).length, own.length))
    const missed = new Map<string, number>()
    for (const { cat, hit } of all) if (!hit) missed.set(cat, (missed.get(cat) ?? 0) + 1)
    if (missed.size > 0) print('  missed', [...missed].map(([cat, count]) => `${cat} ${count}`).join(', '))
  }
}

const benign = load('benign').map((sample) => ({ ...sample, hit: flagged(sample.text, BOTH) }))
const main = benign.filter(({ tier }) => tier === 'main')
const prose = main.filter(({ cat }) => PROSE.test(cat))
console.log('benign: false alarms, both rules')
print('all ordinary text', percent(main.filter(({ hit }) => hit).length, main.length))
print('prose only', percent(prose.filter(({ hit }) => hit).length, prose.length))
const gray = benign.filter(({ tier }) => tier !== 'main')
print('gray (not scored)', percent(gray.filter(({ hit }) => hit).length, gray.length))
for (const cat of [...new Set(main.filter(({ hit }) => hit).map((sample) => sample.cat))]) {
  const of = main.filter((sample) => sample.cat === cat)
  print(`  ${cat}`, percent(of.filter(({ hit }) => hit).length, of.length))
}

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
    validator.check(text, BOTH)
    const { user, system } = process.cpuUsage(start)
    best = Math.min(best, (user + system) / 1000)
  }
  return best
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? 0
}

console.log('time, both rules')
const ordinary = main.filter(({ hit }) => !hit).map(({ text }) => text)
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
  const short = cheapest(make(10_000), 20)
  const long = cheapest(make(100_000), 8)
  return { name, 10000: short, 100000: long, growth: long / short }
})
function worst(key: 10_000 | 100_000 | 'growth', among = times): string {
  const first = among.toSorted((a, b) => b[key] - a[key]).slice(0, 5)
  return first.map((time) => `${time.name} ${time[key].toFixed(2)}`).join(', ')
}
for (const length of [10_000, 100_000] as const) {
  print(`worst families at ${length}`, `${worst(length)} ms (of ${families.length})`)
}
// Below a fifth of a millisecond it is the clock that is measured.
print(
  'steepest, ten times the input',
  `${worst(
    'growth',
    times.filter((time) => time[10_000] > 0.2),
  )} times the time`,
)
