import { Anchor, Group, Text } from '@mantine/core';
import { IconArrowLeft } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useEffect, useRef } from 'react';
import { t } from '../texts';
import css from './page.module.css';

type PageProps = {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  back?: { to: string; label: string };
  wide?: boolean;
  children: ReactNode;
};

/** One room: its heading (which takes the focus when the room changes), its acts, its content. */
export function Page({ title, lead, actions, back, wide, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = t.titleOf(title);
  }, [title]);
  useEffect(() => {
    // On the first page of a visit the focus stays where the browser puts it.
    if (document.body.dataset.visited) heading.current?.focus({ preventScroll: true });
    document.body.dataset.visited = 'yes';
  }, []);
  return (
    <div className={css.page} data-wide={wide || undefined}>
      {back && (
        <Anchor component={Link} to={back.to} size="sm" c="dimmed" className={css.back}>
          <IconArrowLeft size={15} aria-hidden />
          {back.label}
        </Anchor>
      )}
      <Group justify="space-between" align="flex-start" gap="md" mb="lg">
        <div className={css.head}>
          <h1 className={css.title} ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {lead && (
            <Text c="dimmed" size="sm" component="div">
              {lead}
            </Text>
          )}
        </div>
        {actions && <Group gap="sm">{actions}</Group>}
      </Group>
      {children}
    </div>
  );
}
