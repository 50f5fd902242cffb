import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InputValidator, type StringOptions, ValidationError } from '../../src/security/InputValidator.ts'
import { encodings, sqlMutations, stream } from './mutations.ts'
import { sqlAttacks } from './sqlAttacks.ts'
import { xssAttacks } from './xssAttacks.ts'

const ALL: StringOptions = { noXss: true, noSqlInjection: true, noCommandInjection: true, noInvisible: true }
const COMMANDS = [
  '; cat /etc/hosts',
  '$(id)',
  '| sh',
  '`uname -a`',
  '&& rm -rf /',
  '\nwhoami',
  '() { :; }; x',
  '> /tmp/x',
]
const attacks = [...sqlAttacks().map(({ text }) => text), ...xssAttacks(), ...COMMANDS]
const mutations = [...Object.values(encodings), ...Object.values(sqlMutations)]

/** Attacks, mutated and cut, among text of any sort; and text that is nothing but marks. */
const anything = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom(...'<>\'"`=()[]{}#-/*;:,.|&%+\\$@! \n\0\u200b\uff1c\ud835\udc00aonorx01'.split('')),
    maxLength: 80,
  }),
  fc
    .record({
      attack: fc.constantFrom(...attacks),
      mutate: fc.constantFrom(...mutations),
      seed: fc.nat(),
      before: fc.string({ unit: 'grapheme', maxLength: 12 }),
      after: fc.string({ unit: 'binary', maxLength: 12 }),
      cut: fc.nat(80),
    })
    .map(
      ({ attack, mutate, seed, before, after, cut }) =>
        before + mutate(attack, stream(seed)).slice(0, 20 + cut) + after,
    ),
)

function refusal(run: () => unknown): ValidationError | null {
  try {
    expect(run()).toBe(true)
    return null
  } catch (error) {
    expect(error).toBeInstanceOf(ValidationError)
    return error as ValidationError
  }
}

describe('whatever comes', () => {
  const validator = new InputValidator()

  it('check throws nothing, agrees with validateString, and names a place within the original string', () => {
    fc.assert(
      fc.property(anything, fc.boolean(), (text, allowCode) => {
        const options = allowCode ? { ...ALL, profile: 'allowCode' as const } : ALL
        const { ok, issues } = validator.check(text, options)
        const error = refusal(() => validator.validateString(text, options))
        expect(error === null).toBe(ok)
        expect(error?.rule).toBe(issues[0]?.rule)
        for (const { offset, length, excerpt, severity } of issues) {
          expect(Number.isInteger(offset) && Number.isInteger(length)).toBe(true)
          expect(offset).toBeGreaterThanOrEqual(0)
          expect(length).toBeGreaterThanOrEqual(1)
          expect(offset + length).toBeLessThanOrEqual(text.length)
          expect(excerpt).not.toMatch(/[<>"'`&\\$;|%{}\n\r\0]/)
          expect(severity).toBe('error')
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('says the same of a text, whatever was looked at in between', () => {
    fc.assert(
      fc.property(anything, anything, (text, other) => {
        const before = validator.check(text, ALL)
        validator.check(other, ALL)
        expect(validator.check(text, ALL)).toEqual(before)
      }),
      { numRuns: 500 },
    )
  })

  it('keeps what came out of messages', () => {
    const marker = 'zebracrossing'
    for (const attack of attacks) {
      const text = attack.replaceAll('members', marker).replaceAll('hit', marker)
      for (const issue of validator.check(text, { ...ALL, maxLength: 10_000 }).issues) {
        expect(issue.message).not.toContain(marker)
      }
    }
  })

  it('goes through the other methods without any other error', () => {
    const methods: ((value: unknown) => true)[] = [
      (value) => validator.validateEmail(value),
      (value) => validator.validateURL(value, { ssrf: true }),
      (value) => validator.validateFilename(value),
      (value) => validator.validateJson(value),
      (value) => validator.validateBase64Image(value),
      (value) => validator.validateNumber(value),
      (value) => validator.validateObject(value),
      (value) => validator.validateArray(value, { elementSchema: { type: 'string', noXss: true } }),
    ]
    fc.assert(
      fc.property(
        fc.oneof(anything, fc.webUrl(), fc.json(), fc.emailAddress(), fc.base64String(), fc.anything()),
        (value) => {
          for (const method of methods) refusal(() => method(value))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it.each(['/*', 'feed:', '\ufe00', '%41', '＜', '() {', '`', "'"])(
    'does not run out of memory of its own on eight million characters of %j',
    (unit) => {
      const text = unit.repeat(8_000_000 / unit.length)
      const { ok, issues } = validator.check(text, ALL)
      expect(ok).toBe(issues.length === 0)
    },
  )

  it('reads comments however many follow each other', () => {
    expect(validator.check('*/'.repeat(12_000_000), { noSqlInjection: true }).ok).toBe(true)
  })
})
