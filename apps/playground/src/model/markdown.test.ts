import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Block, type Inline, parseMarkdown, placeOf, textOf } from './markdown.ts'

const shape = (blocks: readonly Block[]) => blocks.map(({ source: _, ...block }) => block)
const text = (value: string): Inline => ({ kind: 'text', text: value })

describe('parseMarkdown', () => {
  it('tells paragraphs, headings, lists, code and the source of an answer apart', () => {
    const answer = [
      '# Title',
      'One line',
      'and its next.',
      '- first',
      '  goes on',
      '- second',
      '',
      '1. step',
      '',
      '```js',
      'const a = 1',
      '',
      '- no item',
      '```',
      'From docs/questions.md#how',
    ].join('\n')
    expect(shape(parseMarkdown(answer))).toEqual([
      { kind: 'heading', children: [text('Title')] },
      { kind: 'paragraph', children: [text('One line and its next.')] },
      { kind: 'list', ordered: false, items: [[text('first goes on')], [text('second')]] },
      { kind: 'list', ordered: true, items: [[text('step')]] },
      { kind: 'code', text: 'const a = 1\n\n- no item' },
      { kind: 'source', children: [text('From docs/questions.md#how')] },
    ])
  })

  it('knows code, bold (with code in it) and links within a line', () => {
    expect(shape(parseMarkdown('Use `a*b`, **not `c`**, see [docs](https://example.org/x).'))).toEqual([
      {
        kind: 'paragraph',
        children: [
          text('Use '),
          { kind: 'code', text: 'a*b' },
          text(', '),
          { kind: 'strong', children: [text('not '), { kind: 'code', text: 'c' }] },
          text(', see '),
          { kind: 'link', href: 'https://example.org/x', text: 'docs' },
          text('.'),
        ],
      },
    ])
  })

  it.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert`1`',
    'data:text/html,x',
    'docs/Endpoint.md',
    '//evil.example',
    'vbscript:x',
  ])('a link to %s is its label and no more', (href) => {
    expect(JSON.stringify(parseMarkdown(`[label](${href})`))).not.toContain('"link"')
  })

  it('takes what is still open as it stands', () => {
    expect(shape(parseMarkdown('```js\nconst a'))).toEqual([{ kind: 'code', text: 'const a' }])
    expect(shape(parseMarkdown('an **open'))).toEqual([{ kind: 'paragraph', children: [text('an **open')] }])
  })

  it('a growing answer changes only its last block, so that the others can stay', () => {
    const answer = 'One.\n\n- a\n- b\n\n```\nx\n\ny\n```\n\nLast `one`.\n\nFrom docs/x.md'
    let before: Block[] = []
    for (let length = 0; length <= answer.length; length += 1) {
      const now = parseMarkdown(answer.slice(0, length))
      expect(now.slice(0, Math.max(0, before.length - 1))).toEqual(before.slice(0, -1))
      before = now
    }
  })

  it('never loses a word and always ends, whatever comes', () => {
    const piece = fc.constantFrom(
      'a',
      'word',
      ' ',
      '\n',
      '\n\n',
      '`',
      '```',
      '**',
      '- ',
      '1. ',
      '# ',
      '[',
      '](',
      ')',
      'https://x',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const answer = pieces.join('')
        const shown = JSON.stringify(parseMarkdown(answer))
        const words = (value: string) => value.match(/word/g)?.length ?? 0
        // What stands beside the marks of a code fence names its language; a link's address is not shown.
        if (!answer.includes('```') && !answer.includes('](')) {
          expect(words(shown.replaceAll(/"source":"(?:[^"\\]|\\.)*"/g, ''))).toBe(words(answer))
        }
      }),
    )
  })
})

describe('the place where a beginning ends', () => {
  const answer = [
    'See **the whole line** and `code`.',
    '',
    '- one',
    '- [two](https://example.com) ends',
    '',
    '```ts',
    'a = 1',
    '```',
  ].join('\n')
  const place = (beginning: string) => {
    const blocks = parseMarkdown(answer)
    const { block, at } = placeOf(blocks, beginning) ?? { block: -1, at: -1 }
    const text = blocks[block] ? textOf(blocks[block]) : ''
    return `${block}: ${text.slice(0, at)}|${text.slice(at)}`
  }

  it.each([
    ['', '-1: |'],
    ['S', '0: S|ee the whole line and code.'],
    ['See **the whole', '0: See |the whole line and code.'],
    ['See **the whole line** a', '0: See the whole line a|nd code.'],
    ['See **the whole line** and `code`.\n\n', '0: See the whole line and code.|'],
    ['See **the whole line** and `code`.\n\n- one\n- [two](https', '1: one|two ends'],
    ['See **the whole line** and `code`.\n\n- one\n- [two](https://example.com) e', '1: onetwo e|nds'],
    [`${answer.slice(0, answer.indexOf('```'))}\`\`\`ts\na`, '2: a| = 1'],
    [answer, '2: a = 1|'],
  ])('%j', (beginning, expected) => {
    expect(answer.startsWith(beginning)).toBe(true)
    expect(place(beginning)).toBe(expected)
  })
})
