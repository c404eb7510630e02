import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test as base, expect, type Page } from '@playwright/test';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds on the page, one line each. Frames are left out: mail in them is other people's. */
export async function findings(page: Page): Promise<string[]> {
  // What is fading in or out has colours that nobody sets.
  await page.waitForFunction(() =>
    document.getAnimations().every((a) => a.playState !== 'running' || a.effect?.getComputedTiming().endTime === Infinity),
  );
  await page.evaluate(axe);
  return page.evaluate(async () => {
    // biome-ignore lint: axe puts itself on the window
    const { violations } = await (window as any).axe.run(document, { iframes: false });
    return violations.map(
      (v: { id: string; nodes: { target: string[]; failureSummary?: string }[] }) =>
        `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')} ${v.nodes[0].failureSummary ?? ''}`,
    );
  });
}

/**
 * A page that fails its test where a script crashed, where the policy stopped
 * something of the console's own, or where anything was asked of another host.
 */
export const test = base.extend<{ page: Page }>({
  page: async ({ page, baseURL }, use) => {
    const wrong: string[] = [];
    page.on('pageerror', (error) => wrong.push(`crash: ${error}`));
    page.on('console', (message) => {
      // Parsing other people's mail reports each style, handler and base in it, which is the point.
      const reading = /Applying inline style|Executing inline event handler|base URI/.test(message.text());
      if (/Content Security Policy/.test(message.text()) && !reading) wrong.push(message.text());
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${baseURL}/`) && !/^(data|blob|about):/.test(url)) wrong.push(`asked ${url}`);
    });
    await use(page);
    expect(wrong).toEqual([]);
  },
});

export { expect };
