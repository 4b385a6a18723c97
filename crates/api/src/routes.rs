//! The table of routes. Each names the rule that guards it, and the router is built from nothing else, so there is
//! no route without a rule.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::App;
use crate::guard::{self, Guard};
use crate::v1;

/// One method of one path.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub rule: &'static str,
    handler: MethodRouter<App>,
}

fn route<H, T>(
    filter: MethodFilter,
    method: &'static str,
    path: &'static str,
    rule: &'static str,
    handler: H,
) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    Route {
        method,
        path,
        rule,
        handler: on(filter, handler),
    }
}

macro_rules! table {
    ($($method:ident $path:literal $rule:literal => $handler:path;)*) => {
        vec![$(route(MethodFilter::$method, stringify!($method), $path, $rule, $handler)),*]
    };
}

/// All routes that want a token.
#[rustfmt::skip]
pub fn table() -> Vec<Route> {
    table! {
        POST   "/v1/admin/sites" "protector:sites:create" => v1::sites::create::create;
        GET    "/v1/admin/sites" "protector:admin:sites:index" => v1::sites::index::index;
        GET    "/v1/admin/sites/{site}" "protector:admin:sites:show" => v1::sites::show::show;
        PATCH  "/v1/admin/sites/{site}" "protector:sites:update" => v1::sites::update::update;
        DELETE "/v1/admin/sites/{site}" "protector:sites:delete" => v1::sites::delete::delete;
        POST   "/v1/admin/sites/{site}/validate" "protector:sites:validate" => v1::sites::validate::validate;
        GET    "/v1/admin/sites/{site}/volume-types" "protector:sites:volume_types" => v1::sites::volume_types::volume_types;

        GET    "/v1/{project}/sites" "protector:sites:index" => v1::sites::index::index;
        GET    "/v1/{project}/sites/{site}" "protector:sites:show" => v1::sites::show::show;

        POST   "/v1/{project}/tenant-mappings" "protector:tenant_mappings:create" => v1::tenant_mappings::create::create;
        GET    "/v1/{project}/tenant-mappings" "protector:tenant_mappings:index" => v1::tenant_mappings::index::index;
        GET    "/v1/{project}/tenant-mappings/{mapping}" "protector:tenant_mappings:show" => v1::tenant_mappings::show::show;
        DELETE "/v1/{project}/tenant-mappings/{mapping}" "protector:tenant_mappings:delete" => v1::tenant_mappings::delete::delete;

        POST   "/v1/{project}/protection-groups" "protector:protection_groups:create" => v1::protection_groups::create::create;
        GET    "/v1/{project}/protection-groups" "protector:protection_groups:index" => v1::protection_groups::index::index;
        GET    "/v1/{project}/protection-groups/{group}" "protector:protection_groups:show" => v1::protection_groups::show::show;
        PATCH  "/v1/{project}/protection-groups/{group}" "protector:protection_groups:update" => v1::protection_groups::update::update;
        DELETE "/v1/{project}/protection-groups/{group}" "protector:protection_groups:delete" => v1::protection_groups::delete::delete;

        POST   "/v1/{project}/protection-groups/{group}/members" "protector:members:create" => v1::members::create::create;
        GET    "/v1/{project}/protection-groups/{group}/members" "protector:members:index" => v1::members::index::index;
        GET    "/v1/{project}/protection-groups/{group}/members/{member}" "protector:members:show" => v1::members::show::show;
        DELETE "/v1/{project}/protection-groups/{group}/members/{member}" "protector:members:delete" => v1::members::delete::delete;

        POST   "/v1/{project}/protection-groups/{group}/policy" "protector:policies:create" => v1::policy::create::create;
        GET    "/v1/{project}/protection-groups/{group}/policy" "protector:policies:show" => v1::policy::show::show;

        GET    "/v1/{project}/protection-groups/{group}/mappings" "protector:mappings:show" => v1::mappings::show::show;
        PUT    "/v1/{project}/protection-groups/{group}/mappings" "protector:mappings:update" => v1::mappings::update::update;

        GET    "/v1/{project}/protection-groups/{group}/consistency-group" "protector:consistency_groups:show" => v1::consistency_group::show::show;

        GET    "/v1/{project}/protection-groups/{group}/sync" "protector:sync:show" => v1::sync::show::show;
        POST   "/v1/{project}/protection-groups/{group}/sync" "protector:sync:update" => v1::sync::update::update;
        GET    "/v1/{project}/protection-groups/{group}/sync-log" "protector:sync:log" => v1::sync::log::log;

        GET    "/v1/{project}/protection-groups/{group}/metadata" "protector:metadata:show" => v1::metadata::show::show;
        PUT    "/v1/{project}/protection-groups/{group}/metadata" "protector:metadata:update" => v1::metadata::update::update;

        POST   "/v1/{project}/protection-groups/{group}/action" "protector:operations:action" => v1::operations::action::action;
        POST   "/v1/{project}/protection-groups/{group}/preflight" "protector:operations:preflight" => v1::operations::preflight::preflight;
        GET    "/v1/{project}/operations" "protector:operations:index" => v1::operations::index::index;
        GET    "/v1/{project}/operations/{operation}" "protector:operations:show" => v1::operations::show::show;
        POST   "/v1/{project}/operations/{operation}/action" "protector:operations:action" => v1::operations::control::control;
    }
}

pub(crate) fn router(app: &App) -> Router<App> {
    let mut router = Router::new();
    for route in table() {
        let guard = Guard {
            policy: app.enforcer.clone(),
            rule: route.rule,
        };
        let guarded = route.handler.route_layer(from_fn_with_state(guard, guard::check));
        router = router.route(route.path, guarded);
    }
    router
}
