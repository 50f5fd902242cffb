// Measures InputValidator against a folder of labelled texts: `npm run eval:validator -- DIR`.
// DIR holds xss.jsonl, sqli.jsonl and benign.jsonl, one {text, cat, tier, source} a line.
// `--leave-out SOURCE` learns the weights of SQL from all sources but one (`each`: each in turn) and scores that one;
// `--tune` writes the weights that ship. `--ordinary FILE` adds ordinary texts to learn from, one {text} a line.

import process from 'node:process'
import { parseArgs } from 'node:util'
import { InputValidator, ValidationError } from '../src/security/InputValidator.ts'
import { leaveOut, writeWeights } from './evalValidatorLeaveOut.ts'
import { BOTH, load, percent, print, SQL, XSS } from './evalValidatorSets.ts'
import { measureTime } from './evalValidatorTime.ts'

const PROSE = /prompt|chat|math|multilingual|prose|shell-nl/

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'leave-out': { type: 'string' },
    tune: { type: 'boolean' },
    ordinary: { type: 'string', multiple: true, default: [] },
  },
})
const directory = positionals[0]
if (directory === undefined) {
  console.error('usage: npm run eval:validator -- DIR [--leave-out SOURCE | --tune] [--ordinary FILE]...')
  process.exit(2)
}
if (values['leave-out'] !== undefined) leaveOut(directory, values['leave-out'], values.ordinary)
else if (values.tune) writeWeights(directory, values.ordinary)
else measure(directory)

function measure(directory: string): void {
  const validator = new InputValidator()
  const flagged = (text: string, options: object): boolean => {
    try {
      validator.validateString(text, options)
      return false
    } catch (error) {
      if (error instanceof ValidationError) return true
      throw error
    }
  }
  for (const [name, options] of [
    ['xss', XSS],
    ['sqli', SQL],
  ] as const) {
    const samples = load(directory, name).map((sample) => ({
      ...sample,
      hit: flagged(sample.text, options),
    }))
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

  const benign = load(directory, 'benign').map((sample) => ({ ...sample, hit: flagged(sample.text, BOTH) }))
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
  measureTime(main.filter(({ hit }) => !hit).map(({ text }) => text))
}
