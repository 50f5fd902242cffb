// Does what was learned hold for attacks that nobody had seen? Each source of the labelled texts in turn is left out, the
// weights of SQL learned from the others, and the source scored: by what was learned alone, and with the grammar.
// XSS has no weights: there the figures are those of the rules as they ship, by source.

import { writeFileSync } from 'node:fs'
import { findInForms } from '../src/security/detect/decode.ts'
import { findSqlByGrammar } from '../src/security/detect/sqlInjection.ts'
import { detectXss } from '../src/security/detect/xss.ts'
import { type Random, sqlAttack, sqlSplice } from './adversarialSql.ts'
import { harmlessText } from './adversarialText.ts'
import { load, loadLines, percent, type Sample, sourceOf } from './evalValidatorSets.ts'
import { type Forms, type Model, train, Vocabulary, weightsTable } from './evalValidatorTune.ts'

/** How many weights ship. */
const WEIGHTS = 1200
const MADE_ATTACKS = 6000
const MADE_TEXTS = 15_000
/** The labelled ordinary texts are the hardest: they count so many times. */
const LABELLED = 3
/** A score of one logit: in cross validation one of a thousand labelled ordinary texts has as much. */
const THRESHOLD = 8

/** The same numbers each time. */
function seeded(seed: number): Random {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

interface Read {
  readonly source: string
  readonly tier: string
  /** The same for texts that differ in numbers, marks and blanks only. */
  readonly likeness: string
  readonly grammar: boolean
  readonly forms: Forms
}

interface Material {
  readonly vocabulary: Vocabulary
  readonly attacks: readonly Read[]
  readonly labelled: readonly Read[]
  readonly more: readonly Forms[]
  readonly madeAttacks: readonly Forms[]
  readonly madeTexts: readonly Forms[]
}

function gather(directory: string, files: readonly string[]): Material {
  const vocabulary = new Vocabulary()
  const read = (sample: Sample): Read => ({
    source: sourceOf(sample),
    tier: sample.tier,
    likeness: sample.text.toLowerCase().replace(/[^a-z]/g, ''),
    grammar: findInForms(sample.text, findSqlByGrammar) !== null,
    forms: vocabulary.forms(sample.text),
  })
  const random = seeded(11)
  return {
    vocabulary,
    attacks: load(directory, 'sqli').map(read),
    labelled: load(directory, 'benign')
      .filter(({ tier }) => tier === 'main')
      .map(read),
    more: files.flatMap(loadLines).map(({ text }) => vocabulary.forms(text)),
    madeAttacks: Array.from({ length: MADE_ATTACKS }, (_, turn) =>
      vocabulary.forms(turn % 8 === 0 ? sqlSplice(random) : sqlAttack(random)),
    ),
    madeTexts: Array.from({ length: MADE_TEXTS }, () => vocabulary.forms(harmlessText(random))),
  }
}

function learn(material: Material, attacks: readonly Read[], labelled: readonly Read[]): Model {
  const { vocabulary, madeAttacks, madeTexts, more } = material
  const hard = labelled.map(({ forms }) => forms)
  return train(
    vocabulary.size,
    [...attacks.map(({ forms }) => forms), ...madeAttacks],
    [...Array.from({ length: LABELLED }, () => hard).flat(), ...more, ...madeTexts],
    seeded(3),
    WEIGHTS,
  )
}

/** `--leave-out`. @param chosen a source, or `each` */
export function leaveOut(directory: string, chosen: string, files: readonly string[]): void {
  const material = gather(directory, files)
  const sources = [...new Set(material.attacks.map(({ source }) => source))].sort()
  if (chosen !== 'each' && !sources.includes(chosen)) {
    throw new RangeError(`--leave-out: expected each or one of ${sources.join(', ')}; got ${chosen}`)
  }
  let worst = { source: '', share: Infinity }
  for (const source of chosen === 'each' ? sources : [chosen]) {
    const left = material.attacks.filter((sample) => sample.source === source && sample.tier !== 'extended')
    const likenesses = new Set(left.map(({ likeness }) => likeness))
    const model = learn(
      material,
      material.attacks.filter(
        (sample) =>
          sample.source !== source && sample.tier !== 'extended' && !likenesses.has(sample.likeness),
      ),
      material.labelled.filter((sample) => sample.source !== source),
    )
    const learned = (sample: Read): boolean => model.score(sample.forms) >= THRESHOLD
    const texts = material.labelled.filter((sample) => sample.source === source)
    console.log(`sqli without ${source}`)
    for (const tier of ['core', 'mutated']) {
      const of = left.filter((sample) => sample.tier === tier)
      if (of.length === 0) continue
      const alone = percent(of.filter(learned).length, of.length)
      const found = of.filter((sample) => sample.grammar || learned(sample)).length
      if (tier === 'core' && found / of.length < worst.share) worst = { source, share: found / of.length }
      const both = percent(found, of.length)
      console.log(`  ${tier}: learned alone ${alone}, with the grammar ${both}`)
    }
    if (texts.length > 0)
      console.log(`  its ordinary texts: false alarms ${percent(texts.filter(learned).length, texts.length)}`)
  }
  console.log(`worst source, core: ${worst.source} ${(100 * worst.share).toFixed(2)} %`)
  const scripts = load(directory, 'xss').filter(({ tier }) => tier !== 'extended')
  for (const source of [...new Set(scripts.map(sourceOf))].sort()) {
    if (chosen !== 'each' && chosen !== source) continue
    const of = scripts.filter((sample) => sourceOf(sample) === source)
    console.log(`xss of ${source}: ${percent(of.filter(({ text }) => detectXss(text)).length, of.length)}`)
  }
}

/** `--tune`: learns from everything and writes the weights that ship. */
export function writeWeights(directory: string, files: readonly string[]): void {
  const material = gather(directory, files)
  const model = learn(
    material,
    material.attacks.filter(({ tier }) => tier !== 'extended'),
    material.labelled,
  )
  const table = weightsTable(material.vocabulary, model)
  const lines = Object.entries(table).map(
    ([weight, runs]) => `  ${JSON.stringify(weight)}: ${JSON.stringify(runs)},`,
  )
  writeFileSync(
    new URL('../src/security/detect/sql/weights.ts', import.meta.url),
    `// Learned, not written by hand: \`npm run eval:validator -- DIR --tune\` (see evidence.ts). For each weight, in eighths
// of a logit, the runs of tokens that have it, two blanks apart.

export const SQL_WEIGHTS: Readonly<Record<string, string>> = {
${lines.join('\n')}
}

/** The sum from which a text is taken for an injection. */
export const SQL_THRESHOLD = ${THRESHOLD}
`,
  )
  console.log(`${Object.keys(table).length} different weights, threshold ${THRESHOLD}; now: npm run format`)
}
