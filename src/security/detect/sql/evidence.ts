// The second opinion on SQL injection: where the grammar gives up, because a dialect's notation is unknown to it or the
// text is broken, runs of up to three neighbouring tokens still speak for or against. Each run has a weight; the weights
// are learned (scripts/evalValidator.ts --tune) and lie in weights.ts. Knows no attack and no grammar.

import { CATALOG, CONSTANT, HARMFUL, PROBING, SYSTEM } from './shapes.ts'
import { SqlTokenizer, type Token } from './tokenizer.ts'
import { SQL_THRESHOLD, SQL_WEIGHTS } from './weights.ts'

/** Tokens looked at in each reading: evidence stands where the text leaves the literal. */
const TOKENS = 48
/** So many words in a row are a sentence, which a reading follows no further. */
const PROSE = 5
/** How much of a long text a reading may take: what follows changes no verdict. */
const REACH = 2000

/** Words that stand for themselves in a run; of the others only their kind does. */
const ITSELF = new Set(
  (
    'select union from where order group by having limit into null values set and or xor not in is like between ' +
    'exists as all distinct case when then else end top exec execute waitfor drop insert update delete declare if ' +
    'begin create alter shutdown truncate procedure collate binary div'
  ).split(' '),
)
/** The commonest words of English, and what contractions leave behind an apostrophe. */
const ENGLISH = new Set(
  (
    'the to of for you it we this that with be are was were will can have has had i my your our their his her its he she ' +
    'they there here what which who how why not do does did don s t d ll re ve m n no yes an a about at so but than then ' +
    'please would could should may must just only also very more most some any use used'
  ).split(' '),
)

/** A token as runs know it. */
export function signOf({ kind, text, start, end }: Token, whole: string): string {
  switch (kind) {
    case 'word':
      if (ENGLISH.has(text)) return 'english'
      if (SYSTEM.test(text) || CATALOG.test(text)) return 'system'
      if (HARMFUL.test(text)) return 'harmful'
      if (CONSTANT.test(text)) return 'constant'
      if (PROBING.test(text)) return 'probing'
      if (/[^\0-\x7f]/.test(text)) return 'foreign'
      return text.length === 1 ? 'letter' : 'word'
    case 'number':
      return text.startsWith('0x') ? 'hex' : 'number'
    case 'string':
      return end - start <= 2 ? 'empty' : end - start <= 8 ? 'short' : 'string'
    case 'open':
      return whole.length - start <= 1 ? 'lastquote' : whole.length - start <= 12 ? 'shortopen' : 'open'
    case 'comment': {
      const rest = whole.slice(start + (whole[start] === '#' ? 1 : 2), start + 40).trim()
      return `${whole[start] === '#' ? '#' : whole[start] === '-' ? '--' : '/*'}${rest === '' ? '$' : rest.length < 8 ? '' : '...'}`
    }
    case 'variable':
      return text.startsWith('@@') ? '@@' : (text[0] as string)
    case 'other':
      return `other${whole[start]}`
    case 'compare':
      return /^\W/.test(text) ? (text === '=' ? '=' : '<>') : ITSELF.has(text) ? text : 'compare'
    case 'logic':
    case 'prefix':
    case 'operator':
      return text
    default:
      return ITSELF.has(text) || /^\W/.test(text) ? text : kind
  }
}

/** What stands before the quote from which a reading starts. */
function placeOf(text: string, quote: number): string {
  if (quote === 0) return 'start'
  const before = text.slice(Math.max(0, quote - 40), quote)
  if (/^[\w@.%+-]*$/.test(before)) return 'value'
  if (/[([{=,:+`\u201c\u201e]\s*$/.test(before)) return 'code'
  return /\s$/.test(before) ? 'blank' : 'text'
}

/** The signs of the tokens from `at`, behind the place where the reading starts. */
function read(text: string, at: number, place: string): string[] {
  const tokens = new SqlTokenizer(text, at)
  const signs = [place]
  let words = 0
  while (signs.length <= TOKENS) {
    const token = tokens.next()
    const sign = signOf(token, text)
    signs.push(sign)
    if (token.kind === 'end' || token.kind === 'comment' || token.kind === 'open') break
    words = token.kind === 'word' ? words + 1 : 0
    if (words === PROSE) break
  }
  return signs
}

/** Every reading of a text: as the rest of a number, and of each kind of quote. */
export function readings(whole: string): string[][] {
  const text = whole.length > REACH ? whole.slice(0, REACH) : whole
  const all = [[`length:${Math.min(9, Math.floor(Math.log2(text.length + 1)))}`], read(text, 0, 'number:')]
  for (const quote of ["'", '"']) {
    const at = text.indexOf(quote)
    if (at >= 0) all.push(read(text, at + 1, `${quote}${placeOf(text, at)}:`))
  }
  return all
}

interface Weights {
  /** Numbers of signs, from 1; at most 255. */
  readonly signs: ReadonlyMap<string, number>
  /** Weights of runs by the numbers of their signs. */
  readonly runs: ReadonlyMap<number, number>
}

/** The weights as they are written: for each weight the runs that have it. */
export function readWeights(table: Readonly<Record<string, string>>): Weights {
  const signs = new Map<string, number>()
  const runs = new Map<number, number>()
  for (const [weight, list] of Object.entries(table)) {
    for (const run of list.split('  ')) {
      let key = 0
      for (const sign of run.split(' ')) {
        const number = signs.get(sign) ?? signs.size + 1
        signs.set(sign, number)
        key = key * 256 + number
      }
      runs.set(key, Number(weight))
    }
  }
  return { signs, runs }
}

/** The sum of the weights of all runs in a text, each counted once. */
export function weigh(text: string, { signs, runs }: Weights): number {
  const counted = new Set<number>()
  let sum = 0
  const count = (key: number): void => {
    const weight = runs.get(key)
    if (weight === undefined || counted.has(key)) return
    counted.add(key)
    sum += weight
  }
  for (const reading of readings(text)) {
    let second = 0
    let last = 0
    for (const sign of reading) {
      const number = signs.get(sign) ?? 0
      if (number > 0) {
        count(number)
        if (last > 0) {
          count(last * 256 + number)
          if (second > 0) count((second * 256 + last) * 256 + number)
        }
      }
      second = last
      last = number
    }
  }
  return sum
}

const WEIGHTS = readWeights(SQL_WEIGHTS)

/** Whether the evidence is enough. */
export function speaksOfSql(text: string): boolean {
  return weigh(text, WEIGHTS) >= SQL_THRESHOLD
}
