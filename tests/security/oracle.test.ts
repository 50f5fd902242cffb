// jsdom as the judge: whatever it would run, in any place where a value may land, must be flagged. The seeds are fixed, so
// that a run is the same as the last; the long run looks further.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { detectXss } from '../../src/security/detect/xss.ts'
import { LONG } from '../support/proofs.ts'
import { CONTEXTS, executes, loadJsdom } from './jsdomOracle.ts'
import { xssAttacks } from './xssAttacks.ts'

const jsdom = await loadJsdom()
const runs = LONG ? 20_000 : 400
const contexts = Object.keys(CONTEXTS)

const one = (...texts: string[]): fc.Arbitrary<string> => fc.constantFrom(...texts)
const joined = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map((pieces) => pieces.join(''))
const quoted = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(['"', '"'], ["'", "'"], ['', ''], ['"', ''], ["'", '']), value)
    .map(([[open, close], text]) => `${open}${text}${close}`)

const breakout = one(
  '',
  '"',
  "'",
  '">',
  "'>",
  '>',
  '-->',
  '--!>',
  '</textarea>',
  '</style>',
  '" ',
  "' ",
  'x ',
  '" y=\'" z=\'',
)
const tag = one(
  '',
  '<img',
  '<svg',
  '<a',
  '<b',
  '<x-y',
  '<IFRAME',
  '<math',
  '<form',
  '<button',
  '<style',
  '<script',
  '<a:b',
  '<b<c',
)
const gap = one(' ', '\n', '\t', '/', '\f', ' / ', '\r\n')
const code = one(
  'hit()',
  'hit``',
  '[hit()]',
  'x=hit()',
  'hit&lpar;)',
  '&#104;it()',
  '{hit()}',
  'throw hit()',
  'hit?.()',
  'hit\n()',
  'hi\\u0074()',
  'new hit',
  '{a=>1}hit()',
  '//\nhit()',
)
const scheme = one(
  'javascript:',
  'JaVaScRiPt:',
  'java\nscript:',
  'java&Tab;script:',
  '&#x6a;avascript:',
  'javascript&colon;',
  '\x01javascript:',
)
const handler = joined(
  one(
    'onload',
    'onerror',
    'ONCLICK',
    'onfocus',
    'ontoggle',
    'onbegin',
    'onpointerdown',
    'onwheel',
    'onslotchange',
  ),
  one('=', ' =', '=\n', '\t= '),
  quoted(code),
)
const address = joined(
  one('href', 'src', 'action', 'formaction', 'xlink:href', 'data'),
  one('=', ' = '),
  quoted(joined(scheme, code)),
)
const document = joined(
  one('srcdoc='),
  quoted(one('&lt;script&gt;parent.hit()&lt;/script&gt;', '<script>parent.hit()</script>')),
)
const plain = joined(
  one('x', 'src', 'title', 'a"b', '=', '"', "'"),
  one('', '=1', '="a"', "='>'", '=a"b', '="'),
)
const attributes = fc
  .array(joined(gap, fc.oneof(plain, handler, handler, address, document)), { minLength: 1, maxLength: 4 })
  .map((list) => list.join(''))
const end = one('>', '/>', '', '>x', '//', ' x="', '<', '>"')
const script = joined(
  breakout,
  one('<script>', '<SCRIPT\n>', '<script/x>', '<svg><script>', '<script x=">">'),
  one('hit()', 'hit()//'),
  one('</script>', '</SCRIPT >', ''),
)
const injection = fc.oneof(
  { weight: 4, arbitrary: joined(breakout, tag, attributes, end) },
  { weight: 1, arbitrary: script },
  { weight: 1, arbitrary: joined(scheme, code) },
)

describe.skipIf(jsdom === null)(
  'what jsdom executes is flagged (skipped where jsdom is not installed)',
  () => {
    it('in the attacks that we know, each of which runs somewhere', async () => {
      const running = xssAttacks().filter((text) =>
        contexts.some((context) => executes(jsdom!, context, text)),
      )
      // What needs the network, a style engine or a document in a frame does not run in jsdom.
      expect(running.length).toBeGreaterThan(30)
      for (const text of running) expect(detectXss(text), text).not.toBeNull()
    })

    it('in generated injections', async () => {
      let ran = 0
      let turn = 0
      for (const [context, text] of fc.sample(fc.tuple(one(...contexts), injection), {
        numRuns: runs,
        seed: 7,
      })) {
        // The windows that were closed are collected between turns of the event loop.
        if (++turn % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
        const found = detectXss(text) !== null
        // What is flagged anyway is run now and then, to see that the generator makes attacks at all.
        if (found && turn % 8 !== 0) continue
        const runsThere = executes(jsdom!, context, text)
        if (runsThere) ran++
        expect(found || !runsThere, `${context}: ${JSON.stringify(text)}`).toBe(true)
      }
      expect(ran).toBeGreaterThan(runs / 100)
    })
  },
)
