import { expect, findings, test } from './console';

// A hostile message is put in the place of any caught one, so that the whole
// reading pane is tested in a real browser.
const id = 'msg_01hostile00000000000000000';
const hostile = `<html><head><style>@import url(https://evil.test/a.css); p{color:rgb(1, 2, 3)} div{background:u\\72l(https://evil.test/b)}</style></head>
<body onload="top.owned=1" style="background:url(https://evil.test/c)">
<p onclick="top.owned=1" style="font-weight:700">Hello</p><script>top.owned=1</script>
<img src="https://evil.test/pixel.gif" onerror="top.owned=1"><img srcset="https://evil.test/2x.png 2x"><img src=x onerror="top.owned=1">
<iframe src="https://evil.test/"></iframe><object data="https://evil.test/o"></object><embed src="https://evil.test/e">
<form action="https://evil.test/"><input name="password"><button>Go</button></form>
<svg><script>top.owned=1</script><image href="https://evil.test/s"/></svg><math><mtext><style><img src=x onerror="top.owned=1"></style></mtext></math>
<a href="javascript:top.owned=1">one</a> <a href="https://evil.test/link" target="_top">two</a>
<meta http-equiv="refresh" content="0;url=https://evil.test/"><base href="https://evil.test/"><link rel="stylesheet" href="https://evil.test/l.css">
<b style="color:red}</style><script>top.owned=1</script>">three</b></body></html>`;

const message = {
  id,
  from: 'mallory@evil.test',
  to: ['you@example.net'],
  subject: 'Hostile <b>subject</b>',
  date: '2026-05-03T12:00:00.000000Z',
  headers: [{ name: 'Subject', value: 'Hostile <img src=x onerror=top.owned=1>' }],
  text: '<script>top.owned=1</script> plain',
  html: hostile,
  attachments: [{ index: 0, filename: '../../<b>x</b>.html', content_type: 'text/html', size: 5 }],
  size: hostile.length,
};

test.beforeEach(async ({ page }) => {
  const row = { id, from: message.from, to: message.to, subject: message.subject, received_at: message.date, size: 1 };
  await page.route(/\/v1\/caught\?/, (route) => route.fulfill({ json: { items: [row], next: null } }));
  await page.route(`**/v1/caught/${id}`, (route) => route.fulfill({ json: message }));
  await page.route(`**/v1/caught/${id}/source`, (route) => route.fulfill({ body: 'Subject: x\r\n\r\n<script>1</script>' }));
  await page.route(`**/v1/caught/${id}/attachments/0`, (route) =>
    route.fulfill({ body: '<b>1', contentType: 'text/html' }),
  );
  await page.goto(`/caught/${id}`);
  await expect(page.getByRole('heading', { level: 2 })).toHaveText('Hostile <b>subject</b>');
});

test('hostile HTML is shown without running, loading or leading anywhere', async ({ page }) => {
  const frame = page.locator('iframe');
  await expect(frame).toHaveAttribute('sandbox', '');
  const inside = page.frameLocator('iframe');
  await expect(inside.getByText('Hello')).toBeVisible();
  await expect(inside.getByText('Hello')).toHaveCSS('font-weight', '700');
  await expect(inside.getByText('Hello')).toHaveCSS('color', 'rgb(1, 2, 3)');
  const source = (await frame.getAttribute('srcdoc')) ?? '';
  expect(source).toContain("default-src 'none'");
  for (const bad of ['<script', 'onerror', 'onload', 'onclick', '<iframe', '<form', '<svg', '<object', '<embed', '<base', 'http-equiv="refresh"', '<link', 'javascript:', 'src="http', 'url(', '@import', 'srcset', 'href=']) {
    expect(source.toLowerCase(), bad).not.toContain(bad);
  }
  await expect(inside.getByText('two')).toHaveAttribute('title', 'https://evil.test/link');
  await expect(page.getByRole('note')).toContainText('blocked');
  expect(await page.evaluate(() => 'owned' in window)).toBe(false);
  expect(await findings(page)).toEqual([]);
});

test('text, headers, source and attachments are shown as text', async ({ page }) => {
  await page.getByRole('tab', { name: 'Text' }).click();
  await expect(page.getByRole('tabpanel')).toContainText('<script>top.owned=1</script> plain');
  await page.getByRole('tab', { name: 'Headers' }).click();
  await expect(page.getByRole('tabpanel')).toContainText('<img src=x onerror=top.owned=1>');
  expect(await findings(page)).toEqual([]);
  await page.getByRole('tab', { name: 'Source' }).click();
  await expect(page.getByRole('tabpanel')).toContainText('<script>1</script>');
  expect(await findings(page)).toEqual([]);
  await page.getByRole('tab', { name: /Attachments/ }).click();
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: /^Download/ }).click();
  expect((await saved).suggestedFilename()).not.toContain('/');
  expect(await page.evaluate(() => 'owned' in window)).toBe(false);
  expect(await findings(page)).toEqual([]);
});
