// No text takes the detectors more than a bounded number of steps for each of its characters, however hostile. What is
// counted: how often a regular expression is asked, and over how many characters it may have run. Time is not measured.
// Backtracking inside of one question cannot be seen from here: the families of `npm run eval:validator` measure it.

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { families } from '../../scripts/adversarialFamilies.ts'
import { detectCommandInjection } from '../../src/security/detect/commandInjection.ts'
import { detectSqlInjection } from '../../src/security/detect/sqlInjection.ts'
import { detectXss } from '../../src/security/detect/xss.ts'

interface Steps {
  questions: number
  characters: number
}

const exec = RegExp.prototype.exec
let steps: Steps = { questions: 0, characters: 0 }

/** `test`, `search`, `match` and `replace` all ask `exec` once somebody has replaced it. */
function counting(this: RegExp, text: string): RegExpExecArray | null {
  const from = this.sticky || this.global ? this.lastIndex : 0
  const found = exec.call(this, text)
  steps.questions++
  if (found) steps.characters += found.index - from + found[0].length
  // A sticky or anchored one that finds nothing has looked at one place.
  else if (!this.sticky && !this.source.startsWith('^')) steps.characters += text.length - from
  return found
}

beforeEach(() => {
  RegExp.prototype.exec = counting
})
afterEach(() => {
  RegExp.prototype.exec = exec
})

function cost(detect: (text: string) => unknown, text: string): Steps {
  steps = { questions: 0, characters: 0 }
  detect(text)
  return steps
}

const DETECTORS = { SQL: detectSqlInjection, XSS: detectXss, commands: detectCommandInjection }

const LENGTH = 1500
/** Ten times the text may take ten times the steps, and what is asked once for every text. */
const GROWTH = 10
const ONCE = 3000

describe.each(Object.entries(DETECTORS))('%s', (_, detect) => {
  it('takes steps in proportion to the length, over every hostile family', () => {
    const steep: string[] = []
    for (const { name, make } of families) {
      const short = cost(detect, make(LENGTH))
      const long = cost(detect, make(LENGTH * GROWTH))
      for (const kind of ['questions', 'characters'] as const) {
        if (long[kind] > GROWTH * 1.3 * short[kind] + ONCE * GROWTH) {
          steep.push(`${name} ${kind} ${short[kind]} ${long[kind]}`)
        }
      }
    }
    expect(steep).toEqual([])
  }, 120_000)

  it('takes steps in proportion to the length, over repetitions of anything', () => {
    const pieces = fc.constantFrom(
      ...'\' " ` ( ) [ ] { } < > / \\ = ; : , . - -- # /* */ % & | || && $ @ ! ~ + * \n \t'.split(' '),
      ...'a 1 0x1 or and union select from where order by 1=1 if begin <a on x= &#x %25 ](javascript: {{ }} cat'.split(
        ' ',
      ),
      ' ',
      ' ',
      '\n',
    )
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 6 }),
        fc.array(pieces, { minLength: 1, maxLength: 6 }),
        (start, unit) => {
          const repeated = unit.join('')
          const text = (length: number): string =>
            start.join('') + repeated.repeat(Math.ceil(length / repeated.length))
          const short = cost(detect, text(LENGTH))
          const long = cost(detect, text(LENGTH * GROWTH))
          expect(long.questions).toBeLessThanOrEqual(GROWTH * 1.3 * short.questions + ONCE * GROWTH)
          expect(long.characters).toBeLessThanOrEqual(GROWTH * 1.3 * short.characters + ONCE * GROWTH)
        },
      ),
      { numRuns: 80 },
    )
  }, 120_000)
})

it('counts, or the tests above would pass whatever is asked', () => {
  const quadratic = (text: string): void => {
    for (let at = 0; at < text.length; at++) /never here/.test(text.slice(at))
  }
  const short = cost(quadratic, 'x'.repeat(100))
  const long = cost(quadratic, 'x'.repeat(1000))
  expect(short.questions).toBe(100)
  expect(long.characters).toBeGreaterThan(50 * short.characters)
})
