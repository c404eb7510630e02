import { Anchor, Box, SimpleGrid, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { IdentifyingAttribute as Attribute, PersonIdentifier as Identifier } from '../api/shapes';
import { tell } from '../parts/ask';
import { FormBox } from '../parts/form';
import { ProblemNote, Waiting } from '../parts/problem';
import { t } from '../texts';

/** A person: the address, and further words by which a customer knows them. */
export type Who = { address: string; identifiers?: Identifier[] };

type Sort = Identifier['is'];
export type Words = Partial<Record<Sort, string>>;

const sorts: Sort[] = ['name', 'phone', 'customer_number', 'account'];

export const given = (words: Words): Identifier[] =>
  sorts.flatMap((is) => {
    const value = words[is]?.trim();
    return value ? [{ is, value }] : [];
  });

export function KnownBy({ value, change }: { value: Words; change: (next: Words) => void }) {
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }}>
      {sorts.map((is) => (
        <TextInput
          key={is}
          label={t.subject.sorts[is]}
          autoComplete="off"
          maxLength={200}
          value={value[is] ?? ''}
          onChange={(e) => change({ ...value, [is]: e.currentTarget.value })}
        />
      ))}
    </SimpleGrid>
  );
}

/** What is needed seldom stands behind a line that opens it. */
export function Fold({ label, children }: { label: string; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <div>
      <Anchor
        component="button"
        type="button"
        size="sm"
        mt="sm"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {label}
      </Anchor>
      {open && <Box mt="sm">{children}</Box>}
    </div>
  );
}

/** Which attributes of the customer's messages identify a person. */
export function Attributes({ close }: { close: () => void }) {
  const query = useQuery(q.attributes);
  if (query.isError) return <ProblemNote error={query.error} />;
  if (!query.data) return <Waiting text={t.common.loading} />;
  return <AttributesForm now={query.data.attributes} close={close} />;
}

function AttributesForm({ now, close }: { now: Attribute[]; close: () => void }) {
  const [names, setNames] = useState<Record<Sort, string>>(
    () => Object.fromEntries(sorts.map((is) => [is, namesOf(now, is)])) as Record<Sort, string>,
  );
  return (
    <FormBox
      submit={t.common.save}
      cancel={close}
      onSubmit={() => {
        const attributes = sorts.flatMap((is) =>
          names[is]
            .split(',')
            .map((name) => name.trim())
            .filter(Boolean)
            .map((name) => ({ name, is })),
        );
        return must(api.PUT('/v1/subjects/attributes', { body: { attributes } })).then(() => {
          close();
          tell(t.subject.attributesSaved);
          return queryClient.invalidateQueries({ queryKey: ['identifying-attributes'] });
        });
      }}
    >
      <Text size="sm">{t.subject.attributesText}</Text>
      <Stack gap="sm">
        {sorts.map((is) => (
          <TextInput
            key={is}
            label={t.subject.sorts[is]}
            autoComplete="off"
            spellCheck={false}
            value={names[is]}
            onChange={(e) => setNames({ ...names, [is]: e.currentTarget.value })}
          />
        ))}
      </Stack>
    </FormBox>
  );
}

const namesOf = (list: Attribute[], is: Sort) =>
  list
    .filter((a) => a.is === is)
    .map((a) => a.name)
    .join(', ');
