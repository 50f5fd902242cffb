import { beforeEach, expect, it, vi } from 'vitest'
import { InputValidator } from './InputValidator.ts'

/** A fresh copy: the module remembers the DOM it has found. */
async function fresh(): Promise<typeof import('./sanitizeHtml.ts')['sanitizeHtml']> {
  vi.resetModules()
  return (await import('./sanitizeHtml.ts')).sanitizeHtml
}
function absent(name: string): void {
  vi.doMock(name, () => {
    throw new Error(`Cannot find package '${name}'`)
  })
}

beforeEach(() => {
  for (const name of ['jsdom', 'happy-dom', 'dompurify']) vi.doUnmock(name)
})

const DIRTY = '<p onclick="x()">kept <b>bold</b></p><script>x()</script><a href="javascript:x()">link</a>'

it('keeps what is harmless and drops what runs', async () => {
  const sanitizeHtml = await fresh()
  const clean = await sanitizeHtml(DIRTY)
  expect(clean).toBe('<p>kept <b>bold</b></p><a>link</a>')
})

it('does as its options say, and answers with a string whatever they say', async () => {
  const sanitizeHtml = await fresh()
  expect(await sanitizeHtml(DIRTY, { ALLOWED_TAGS: ['b'] })).toBe('kept <b>bold</b>link')
  expect(await sanitizeHtml('<b>x</b>', { RETURN_DOM: true, IN_PLACE: true })).toBe('<b>x</b>')
})

it('trusts happy-dom only where DOMPurify cleans in it: refused or clean, never dirty', async () => {
  absent('jsdom')
  const sanitizeHtml = await fresh()
  const clean = await sanitizeHtml(DIRTY).catch((error: unknown) => error)
  if (typeof clean === 'string') expect(clean).not.toMatch(/onclick|script|x\(\)/)
  else
    expect(clean).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/a DOM in which DOMPurify works/),
    })
})

it('says which package is missing, and looks again the next time', async () => {
  absent('dompurify')
  const sanitizeHtml = await fresh()
  await expect(sanitizeHtml('x')).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(/npm install dompurify/),
  })
  vi.doUnmock('dompurify')
  expect(await sanitizeHtml('<b>x</b>')).toBe('<b>x</b>')
})

it('says that it needs a DOM', async () => {
  absent('jsdom')
  absent('happy-dom')
  const sanitizeHtml = await fresh()
  await expect(sanitizeHtml('x')).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(/a DOM.*jsdom/),
  })
})

it('is a method of the validator too, and takes strings only', async () => {
  const validator = new InputValidator()
  expect(await validator.sanitizeHtml('<i>x</i><script>y</script>')).toBe('<i>x</i>')
  await expect(validator.sanitizeHtml(7 as never)).rejects.toThrow(TypeError)
})
