-- Tenants: each is a space of its own within an environment.

ALTER TABLE spaces
    ADD COLUMN tenant_id   uuid,
    ADD COLUMN tenant_name text,
    ADD COLUMN archived    boolean NOT NULL DEFAULT false,
    ADD COLUMN updated_at  timestamptz NOT NULL DEFAULT now();
CREATE UNIQUE INDEX spaces_tenant_id ON spaces (tenant_id);
COMMENT ON COLUMN spaces.tenant IS 'the customer id of the tenant; default is the space without one';
